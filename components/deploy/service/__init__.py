"""The service: one process that answers requests with the released model, and a web page to try it."""
