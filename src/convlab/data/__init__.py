"""Data sets: how images are found, split and served in batches. Nothing here downloads."""
