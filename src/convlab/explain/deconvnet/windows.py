"""Where a sliding kernel lies on an image, with the padding made explicit.

Convolution, pooling and their ways back differ in what they do inside a window, never in where the
windows lie. Once an image is padded so that the windows cover it exactly, every one of them is whole,
TensorFlow's SAME and PyTorch's padding and rounding are the same thing, and the way back is to undo the
padding.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from convlab.arithmetic.receptive_field import Window
from convlab.arithmetic.sizes import Rounding, output_size, padding_before_after, span

Pair = tuple[int, int]  # along h, along w


@dataclass(frozen=True)
class Windows:
    """A kernel's positions on images of one size h w.

    pads: pixels added (before, after) along h and along w. `after` is negative where the last pixels of
    the image lie in no window.
    """

    size: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: tuple[Pair, Pair]

    @classmethod
    def over(
        cls,
        size: Pair,
        kernel: Pair,
        stride: Pair,
        padding: Literal["SAME", "VALID"] | Pair,
        dilation: Pair = (1, 1),
        rounding: Rounding = "floor",
    ) -> "Windows":
        """The windows on images of `size` h w; ConvlabError where not even one fits."""
        pads = []
        along = (padding, padding) if isinstance(padding, str) else padding
        for axis in zip(size, kernel, stride, along, dilation, strict=True):
            pixels, taps, step, _, spread = axis
            before, _ = padding_before_after(*axis)
            covered = (output_size(*axis, rounding) - 1) * step + span(taps, spread)
            pads.append((before, covered - pixels - before))
        return cls(size, kernel, stride, dilation, (pads[0], pads[1]))

    def pad(self, images: torch.Tensor, value: float = 0.0) -> torch.Tensor:
        """Images n c h w, padded (and cut) so that the windows cover them exactly."""
        return functional.pad(images, [*self.pads[1], *self.pads[0]], value=value)

    def unpad(self, padded: torch.Tensor) -> torch.Tensor:
        """The adjoint of `pad`: cut off what it added; pixels that it cut off come back as zeros."""
        return functional.pad(padded, [-pixels for pixels in (*self.pads[1], *self.pads[0])])

    def read(self) -> tuple[Window, Window]:
        """The same along h and along w, for receptive fields."""
        height, width = (
            Window(span(taps, spread), step, before)
            for taps, spread, step, (before, _) in zip(
                self.kernel, self.dilation, self.stride, self.pads, strict=True
            )
        )
        return height, width
