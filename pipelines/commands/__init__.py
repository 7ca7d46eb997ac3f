"""Commands that belong to the whole project rather than to one step."""
