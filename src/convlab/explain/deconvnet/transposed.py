"""Transposed convolution ("deconvolution"): the way back through a convolution.

A convolution's output gathers a window of its input through the filter. Transposed, each value of the
small map paints the filter, times the value, back onto the window that it was gathered from, and
what overlaps is summed. The same comes from an ordinary convolution, in four steps:

1. flip the filter by 180 degrees, and read it from outputs to inputs;
2. stuff the map with zeros: stride - 1 of them between neighbours;
3. pad it, so that each pixel of the large image finds every value that it contributed to;
4. convolve with stride 1.

It is the adjoint of the convolution, <conv2d(x), y> = <x, conv2d_transpose(y)>, and so its gradient. It
is no inverse. Source: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning",
chapter 4; `tf.nn.conv2d_transpose`.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from convlab.arithmetic.sizes import padding_before_after, transposed_sizes
from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet.tensorflow_operators import Padding, Sizes, conv2d, pair
from convlab.explain.deconvnet.windows import Pair


def conv2d_transpose(
    value: torch.Tensor, filter: torch.Tensor, output_shape: Sequence[int], strides: Sizes, padding: Padding
) -> torch.Tensor:
    """From n h w c_in back to `output_shape` n h w c_out, as `tf.nn.conv2d_transpose` does.

    The filter is h w c_out c_in: the filter of the forward convolution, whose input was n h w c_out. Several
    sizes convolve to the same h w, so the one to go back to must be told; one that does not is a
    ConvlabError with the legal ones.
    """
    steps = pair(strides, "strides")
    _check(value, filter, tuple(output_shape), steps, padding)
    stuffed = stuff_zeros(value, steps)
    around = []
    for axis in (1, 2):
        size, taps = output_shape[axis], filter.shape[axis - 1]
        before, _ = padding_before_after(size, taps, steps[axis - 1], padding)
        ahead = taps - 1 - before
        around.append((ahead, size + taps - 1 - stuffed.shape[axis] - ahead))
    padded = functional.pad(stuffed, [0, 0, *around[1], *around[0]])
    return conv2d(padded, flip(filter), strides=1, padding="VALID")


def flip(filter: torch.Tensor) -> torch.Tensor:
    """h w c_out c_in, turned by 180 degrees and read the other way: h w c_in c_out."""
    return filter.flip(0, 1).transpose(2, 3)


def stuff_zeros(value: torch.Tensor, strides: Pair) -> torch.Tensor:
    """n h w c with stride - 1 zeros between neighbours: (h - 1) stride + 1 high; none outside."""
    num, height, width, channels = value.shape
    down, right = strides
    stuffed = value.new_zeros(num, (height - 1) * down + 1, (width - 1) * right + 1, channels)
    stuffed[:, ::down, ::right] = value
    return stuffed


def _check(
    value: torch.Tensor, filter: torch.Tensor, output_shape: tuple[int, ...], strides: Pair, padding: Padding
) -> None:
    if padding not in ("SAME", "VALID"):
        raise ConvlabError(f'padding is {padding!r}; it must be "SAME" or "VALID".')
    if value.ndim != 4 or filter.ndim != 4 or value.shape[3] != filter.shape[3]:
        raise ConvlabError(
            f"expected a value n h w c_in and a filter h w c_out c_in with the same c_in; found "
            f"{tuple(value.shape)} and {tuple(filter.shape)}."
        )
    heights, widths = (
        transposed_sizes(size, taps, step, padding)
        for size, taps, step in zip(value.shape[1:3], filter.shape[:2], strides, strict=True)
    )
    legal: list[Sequence[int]] = [[value.shape[0]], heights, widths, [filter.shape[2]]]
    if len(output_shape) != 4 or any(
        size not in sizes for size, sizes in zip(output_shape, legal, strict=True)
    ):
        n, h, w, c = (" or ".join(str(size) for size in sizes) for sizes in legal)
        raise ConvlabError(
            f"output_shape is {output_shape}; through a filter {tuple(filter.shape)} with strides {strides} "
            f"and {padding} padding, only n = {n}, h = {h}, w = {w}, c = {c} comes to a value of "
            f"{tuple(value.shape)}."
        )
