"""The files of the web page. They need nothing from the network."""
