"""Output sizes and padding along one axis, each rounding as TensorFlow or PyTorch does it.

W is the image, F the filter, S the stride, P the zeros on each side, D the dilation; a dilated filter
spans F' = D (F - 1) + 1 pixels. Sources: TensorFlow's "Neural network: padding", the PyTorch pages of
`Conv2d`, `MaxPool2d` and `ConvTranspose2d`, and Dumoulin and Visin (2016), "A guide to convolution
arithmetic for deep learning". Every function raises ConvlabError for sizes that cannot be.
"""

from typing import Literal

from convlab.base.errors import ConvlabError

Padding = Literal["VALID", "SAME"] | int
Rounding = Literal["floor", "ceil", "exact"]


def span(kernel: int, dilation: int = 1) -> int:
    """F', the pixels from a filter's first tap to its last: D (F - 1) + 1."""
    return dilation * (kernel - 1) + 1


def output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: Padding = "VALID",
    dilation: int = 1,
    rounding: Rounding = "floor",
) -> int:
    """Positions of a convolution or pooling window along one axis.

    VALID: ceil((W - F' + 1) / S). SAME: ceil(W / S). Explicit: (W - F' + 2P) / S + 1, where `rounding`
    says what becomes of a remainder: "floor" drops it (PyTorch's default), "ceil" adds a window if it
    starts inside the image or the padding before it (PyTorch's `ceil_mode`), "exact" refuses it.
    """
    _check_positive(size=size, kernel=kernel, stride=stride, dilation=dilation)
    if padding == "SAME":
        return -(-size // stride)
    zeros = 0 if padding == "VALID" else padding
    if zeros < 0:
        raise ConvlabError(f"padding is {zeros}; it must be VALID, SAME or a number from 0 up.")
    room = size - span(kernel, dilation) + 2 * zeros
    if rounding == "exact" and room % stride:
        raise ConvlabError(
            f"a window of {_window(kernel, dilation)} at stride {stride} does not tile {size} pixels with "
            f"padding {padding}: ({size} - {span(kernel, dilation)} + 2 * {zeros}) / {stride} + 1 = "
            f"{room / stride + 1:.2f}. Choose a stride that divides {room}."
        )
    outputs = -(-room // stride) + 1 if rounding == "ceil" else room // stride + 1
    if rounding == "ceil" and (outputs - 1) * stride >= size + zeros:
        outputs -= 1  # the last window would see nothing but padding
    if outputs < 1:
        raise ConvlabError(
            f"a window of {_window(kernel, dilation)} does not fit into {size} pixels with padding "
            f"{padding}. Choose a smaller kernel, SAME, or padding from {-(-(2 * zeros - room) // 2)} up."
        )
    return outputs


def padding_before_after(
    size: int, kernel: int, stride: int = 1, padding: Padding = "VALID", dilation: int = 1
) -> tuple[int, int]:
    """Zeros before and after the image along one axis.

    SAME pads max((ceil(W / S) - 1) S + F' - W, 0) in all; an odd zero goes after, as in TensorFlow.
    """
    if padding == "VALID":
        return 0, 0
    if padding != "SAME":
        return padding, padding
    outputs = output_size(size, kernel, stride, "SAME", dilation)
    total = max((outputs - 1) * stride + span(kernel, dilation) - size, 0)
    return total // 2, total - total // 2


def size_keeping_padding(kernel: int, dilation: int = 1) -> int:
    """The P that keeps the size at stride 1: (F' - 1) / 2; refused for an even span, which has none."""
    _check_positive(kernel=kernel, dilation=dilation)
    if span(kernel, dilation) % 2 == 0:
        raise ConvlabError(
            f"a window of {_window(kernel, dilation)} is even: the same padding on both sides cannot keep "
            "the size. Use SAME, which pads one more after the image, or an odd kernel."
        )
    return (span(kernel, dilation) - 1) // 2


def transposed_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: Padding = "VALID",
    dilation: int = 1,
    output_padding: int = 0,
) -> int:
    """Size that a transposed convolution makes of `size` when no output shape is asked for.

    Explicit, PyTorch: (W - 1) S - 2P + F' + output_padding. TensorFlow's layers: VALID W S + max(F' - S, 0),
    SAME W S; there `output_padding` is refused, since `conv2d_transpose` is given the output shape.
    """
    _check_positive(size=size, kernel=kernel, stride=stride, dilation=dilation)
    if padding == "SAME" or padding == "VALID":
        if output_padding:
            raise ConvlabError(
                f"output_padding {output_padding} goes with a number as padding, not {padding}."
            )
        return size * stride + (max(span(kernel, dilation) - stride, 0) if padding == "VALID" else 0)
    if padding < 0 or not 0 <= output_padding < max(stride, dilation):
        raise ConvlabError(
            f"padding {padding}, output_padding {output_padding}: expected padding from 0 up, and "
            f"output_padding from 0 to {max(stride, dilation) - 1} (below the stride {stride} or the "
            f"dilation {dilation})."
        )
    outputs = (size - 1) * stride - 2 * padding + span(kernel, dilation) + output_padding
    if outputs < 1:
        raise ConvlabError(
            f"nothing is left: ({size} - 1) * {stride} - 2 * {padding} + {span(kernel, dilation)} + "
            f"{output_padding} = {outputs}. Lower the padding {padding}."
        )
    return outputs


def transposed_sizes(
    size: int, kernel: int, stride: int = 1, padding: Literal["VALID", "SAME"] = "VALID", dilation: int = 1
) -> range:
    """Every output size that TensorFlow's `conv2d_transpose` accepts along an axis of `size`.

    Those are the sizes that the forward convolution brings back to `size`: VALID (W - 1) S + F' up to
    W S + F' - 1, SAME (W - 1) S + 1 up to W S.
    """
    _check_positive(size=size, kernel=kernel, stride=stride, dilation=dilation)
    first = (size - 1) * stride + (span(kernel, dilation) if padding == "VALID" else 1)
    return range(first, first + stride)


def _window(kernel: int, dilation: int) -> str:
    return (
        f"{kernel}" if dilation == 1 else f"{kernel} dilated by {dilation} ({span(kernel, dilation)} pixels)"
    )


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ConvlabError(f"{name} is {value}; it must be 1 or more.")
