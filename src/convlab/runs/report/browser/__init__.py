"""The image browser, one component of several pages: what it shows, its script and its style."""
