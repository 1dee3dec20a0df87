"""Bottleneck vectors: what a trained backbone makes of an image, computed once and kept.

preprocessing.pixels -> runtimes (a backbone in eval mode) -> cache -> feature_set
"""
