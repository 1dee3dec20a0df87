"""TensorFlow's convolution and pooling, computed with PyTorch.

Images are n h w c, filters h w c_in c_out. Padding is "VALID" (only windows inside the image) or "SAME"
(output size ceil(size / stride); an odd zero goes below and to the right, where PyTorch pads both sides
alike). Strides and window sizes are a number, (h, w) or (1, h, w, 1). What does not fit is a ConvlabError.
Source: the pages of `tf.nn.convolution`, `tf.nn.max_pool` and `tf.nn.avg_pool`.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional

from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet import unpooling
from convlab.explain.deconvnet.windows import Pair, Windows

Padding = Literal["SAME", "VALID"]
Sizes = int | Sequence[int]


def conv2d(value: torch.Tensor, filter: torch.Tensor, strides: Sizes, padding: Padding) -> torch.Tensor:
    """n h w c_in through a filter h w c_in c_out to n h w c_out; the filter is not flipped."""
    if filter.ndim != 4 or value.shape[-1] != filter.shape[2]:
        raise ConvlabError(
            f"expected a value n h w c_in and a filter h w c_in c_out with the same c_in; found "
            f"{tuple(value.shape)} and {tuple(filter.shape)}."
        )
    windows = windows_of(value, pair(filter.shape[:2], "filter"), strides, padding)
    images = functional.conv2d(
        windows.pad(_channels_first(value)), filter.permute(3, 2, 0, 1), stride=windows.stride
    )
    return _channels_last(images)


def max_pool(value: torch.Tensor, ksize: Sizes, strides: Sizes, padding: Padding) -> torch.Tensor:
    """Maximum of each window, map by map; padding never wins."""
    windows = windows_of(value, pair(ksize, "ksize"), strides, padding)
    pooled, _ = unpooling.max_pool(_channels_first(value), windows)
    return _channels_last(pooled)


def avg_pool(value: torch.Tensor, ksize: Sizes, strides: Sizes, padding: Padding) -> torch.Tensor:
    """Mean of each window's real pixels, map by map; padding is not counted."""
    windows = windows_of(value, pair(ksize, "ksize"), strides, padding)
    return _channels_last(unpooling.avg_pool(_channels_first(value), windows))


def windows_of(value: torch.Tensor, kernel: Pair, strides: Sizes, padding: Padding) -> Windows:
    """Where a kernel of h w lies on images n h w c."""
    if padding not in ("SAME", "VALID"):
        raise ConvlabError(f'padding is {padding!r}; it must be "SAME" or "VALID".')
    if value.ndim != 4:
        raise ConvlabError(f"expected images n h w c; found the shape {tuple(value.shape)}.")
    return Windows.over((value.shape[1], value.shape[2]), kernel, pair(strides, "strides"), padding)


def pair(sizes: Sizes, name: str) -> Pair:
    """(h, w) of a number, (h, w) or (1, h, w, 1); `name` is what the error calls it."""
    match [sizes] * 2 if isinstance(sizes, int) else list(sizes):
        case [height, width] | [1, height, width, 1]:
            return int(height), int(width)
    raise ConvlabError(
        f"{name} is {sizes}; expected a number, (h, w) or (1, h, w, 1): no image or channel is skipped."
    )


def _channels_first(value: torch.Tensor) -> torch.Tensor:
    return value.permute(0, 3, 1, 2)


def _channels_last(images: torch.Tensor) -> torch.Tensor:
    return images.permute(0, 2, 3, 1)
