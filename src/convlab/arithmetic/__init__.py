"""Convolution arithmetic without torch: sizes, receptive fields, and what each layer counts."""
