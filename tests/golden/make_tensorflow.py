"""Write tensorflow.npz: what TensorFlow computes, for tests that do without it.

    pip install tensorflow-cpu==2.21.0   # in an environment of its own
    python tests/golden/make_tensorflow.py

The archive's `cases` is a JSON list; case i's arrays are named "<i>/<name>". All inputs are small whole
numbers, so that every result but a mean is exact in float32, and maxima are often tied.
"""

import itertools
import json
import os
from pathlib import Path

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # TensorFlow's own kernels; oneDNN's abort on some odd shapes

import numpy as np
import tensorflow as tf

DRAW = np.random.default_rng(2014)
# h w, kernel, strides: even kernels, odd sizes, strides above the kernel, SAME padding on one side only
GEOMETRIES = [
    ((5, 5), (3, 3), (1, 1)),
    ((7, 6), (3, 3), (2, 2)),
    ((6, 6), (2, 2), (2, 2)),
    ((7, 5), (2, 2), (2, 2)),
    ((6, 7), (2, 2), (1, 1)),
    ((8, 9), (4, 4), (2, 2)),
    ((9, 8), (5, 4), (2, 3)),
    ((7, 7), (1, 1), (2, 2)),
    ((8, 7), (2, 1), (3, 2)),
    ((4, 5), (3, 2), (3, 1)),
    ((13, 4), (6, 3), (5, 1)),
]


def whole(*shape: int) -> np.ndarray:
    return DRAW.integers(-4, 5, shape).astype(np.float32)


def convolution(size, kernel, strides, padding):
    value, filter = whole(2, *size, 3), whole(*kernel, 3, 2)
    result = tf.nn.conv2d(value, filter, strides, padding).numpy()
    cotangent = whole(*result.shape)
    back = tf.nn.conv2d_transpose(cotangent, filter, value.shape, strides, padding).numpy()
    return {"value": value, "filter": filter, "conv2d": result, "cotangent": cotangent, "transposed": back}


def pooling(size, kernel, strides, padding):
    value = whole(2, *size, 2)
    options = {"ksize": (1, *kernel, 1), "strides": (1, *strides, 1), "padding": padding}
    maxima, places = tf.nn.max_pool_with_argmax(value, kernel, strides, padding)
    means = tf.nn.avg_pool(value, kernel, strides, padding).numpy()
    cotangent = whole(*means.shape)
    back_max = tf.raw_ops.MaxPoolGrad(orig_input=value, orig_output=maxima, grad=cotangent, **options)
    back_mean = tf.raw_ops.AvgPoolGrad(orig_input_shape=value.shape, grad=cotangent, **options)
    return {
        "value": value,
        "max_pool": tf.nn.max_pool(value, kernel, strides, padding).numpy(),
        "argmax": places.numpy(),
        "avg_pool": means,
        "cotangent": cotangent,
        "max_unpool": back_max.numpy(),
        "avg_unpool": back_mean.numpy(),
    }


def accepted(size: int, kernel: int, stride: int, padding: str) -> list[int]:
    """Heights that conv2d_transpose makes of `size` values; its other output shapes are errors."""
    value, filter = tf.ones((1, size, 1, 1)), tf.ones((kernel, 1, 1, 1))
    heights = []
    for height in range(1, size * stride + kernel + stride):
        try:
            tf.nn.conv2d_transpose(value, filter, (1, height, 1, 1), (stride, 1), padding)
        except tf.errors.InvalidArgumentError:
            continue
        heights.append(height)
    return heights


def main() -> None:
    cases, arrays = [], {}
    for operation, (size, kernel, strides), padding in itertools.product(
        (convolution, pooling), GEOMETRIES, ("SAME", "VALID")
    ):
        results = operation(size, kernel, strides, padding)
        arrays |= {f"{len(cases)}/{name}": array for name, array in results.items()}
        cases.append(
            {"operation": operation.__name__, "kernel": kernel, "strides": strides, "padding": padding}
        )
    sizes = [
        {"size": w, "kernel": f, "stride": s, "padding": p, "accepted": accepted(w, f, s, p)}
        for w, f, s, p in itertools.product((1, 2, 5), (1, 2, 3, 4), (1, 2, 3), ("SAME", "VALID"))
    ]
    np.savez_compressed(
        Path(__file__).with_name("tensorflow.npz"),
        version=np.array(tf.__version__),
        cases=np.array(json.dumps(cases)),
        sizes=np.array(json.dumps(sizes)),
        **arrays,
    )


if __name__ == "__main__":
    main()
