"""Arrays to figures: the only place that draws with Matplotlib."""
