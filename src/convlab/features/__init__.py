"""Bottleneck vectors: a frozen backbone's view of each image, computed once, cached by content.

preprocessing.pixels -> runtimes (a backbone in eval mode) -> cache -> feature_set
"""
