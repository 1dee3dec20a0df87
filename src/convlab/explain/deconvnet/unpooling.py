"""Pooling, and the way back: each value of the small map returns to the pixels that it came from.

Maximum: a pooled value came from one pixel, and pooling records which: the switch. Unpooling puts the
value there; every other pixel is zero. Average: it came from all pixels of its window in equal shares,
and goes back to them in the same shares. Both are the adjoints (transposes) of their pooling, seen as a
linear map: <pool(x), y> = <x, unpool(y)>; for the maximum with the switches held fixed.

Neither is an inverse, as pooling loses pixels: pooled again, a map comes back from `max_unpool` unchanged
if its values are not negative, from `avg_unpool` divided by the pixels in a window (both where windows
do not overlap).
"""

import torch
from torch.nn import functional

from convlab.explain.deconvnet.windows import Windows


def max_pool(images: torch.Tensor, windows: Windows) -> tuple[torch.Tensor, torch.Tensor]:
    """Maxima of images n c h w, and their switches: row * w + column of each in the image, int64.

    Of equal maxima the first in reading order is recorded, as PyTorch and TensorFlow do.
    """
    padded = windows.pad(images, value=-torch.inf)
    pooled, places = functional.max_pool2d(
        padded, windows.kernel, windows.stride, dilation=windows.dilation, return_indices=True
    )
    (above, _), (left, _) = windows.pads
    rows, columns = places // padded.shape[-1] - above, places % padded.shape[-1] - left
    return pooled, rows * images.shape[-1] + columns


def max_unpool(value: torch.Tensor, switches: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Put each value (n c h w, as its switch) back where its maximum was found.

    Where windows overlap, several values may return to one pixel: they are summed, as an adjoint must.
    `torch.nn.functional.max_unpool2d` would keep only one of them.
    """
    height, width = windows.size
    images = value.new_zeros(*value.shape[:2], height * width)
    images.scatter_add_(2, switches.flatten(2), value.flatten(2))
    return images.reshape(*value.shape[:2], height, width)


def avg_pool(images: torch.Tensor, windows: Windows, counts: torch.Tensor | None = None) -> torch.Tensor:
    """Means of images n c h w.

    counts: what each window's sum is divided by, h w; the number of its real pixels unless given.
    """
    return _sums(images, windows) / (real_pixels(windows).to(images) if counts is None else counts)


def avg_unpool(value: torch.Tensor, windows: Windows, counts: torch.Tensor | None = None) -> torch.Tensor:
    """Spread each value n c h w over its window: value / count to every real pixel, summed in overlaps.

    counts: as in `avg_pool`.
    """
    shares = value / (real_pixels(windows).to(value) if counts is None else counts)
    ones = value.new_ones(1, 1, *windows.kernel)
    spread = functional.conv_transpose2d(shares.flatten(0, 1).unsqueeze(1), ones, stride=windows.stride)
    return windows.unpad(spread).reshape(*value.shape[:2], *windows.size)


def real_pixels(windows: Windows) -> torch.Tensor:
    """How many pixels of each window are in the image, h w; the others are padding."""
    return _sums(torch.ones(1, 1, *windows.size), windows)[0, 0]


def _sums(images: torch.Tensor, windows: Windows) -> torch.Tensor:
    return functional.avg_pool2d(windows.pad(images), windows.kernel, windows.stride, divisor_override=1)
