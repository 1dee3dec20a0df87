"""Evaluated runs side by side: read, ranked and tested, and as one page."""
