"""Runtimes: ways to run the same backbone, each to the same vectors. Chosen by `backbone.runtime`.

work -> choice -> pytorch | onnx_runtime | openvino_runtime -> check (against plain timm) -> extract

A runtime is not part of the cache's key: a change of runtime recomputes nothing. A new one is a function from
Work to Runtime in a file of its own, named in choice.RUNTIMES.
"""
