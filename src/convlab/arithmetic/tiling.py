"""How windows lie along one axis: how many, the zeros beside the image, and the pixels that none reads."""

from dataclasses import dataclass

from convlab.arithmetic.sizes import Padding, Rounding, output_size, padding_before_after, span


@dataclass(frozen=True)
class Tiling:
    """Windows of a kernel along one axis of an image.

    outputs: windows, each of which makes one value.
    before, after: zeros added on either side of the image.
    unseen: the pixels, counted from 0, that no tap of any window reads.
    """

    outputs: int
    before: int
    after: int
    unseen: tuple[int, ...]


def tiling(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: Padding = "VALID",
    dilation: int = 1,
    rounding: Rounding = "floor",
) -> Tiling:
    """The windows on `size` pixels; arguments and errors are those of `output_size`.

    With "ceil" the last window may reach past the padding: zeros are added after it as far as it goes.
    """
    outputs = output_size(size, kernel, stride, padding, dilation, rounding)
    before, after = padding_before_after(size, kernel, stride, padding, dilation)
    reach = (outputs - 1) * stride + span(kernel, dilation) - before  # the first position after all windows
    if rounding == "ceil":
        after = max(after, reach - size)
    starts = range(-before, reach - span(kernel, dilation) + 1, stride)
    read = {start + tap * dilation for start in starts for tap in range(kernel)}
    return Tiling(outputs, before, after, tuple(sorted(set(range(size)) - read)))
