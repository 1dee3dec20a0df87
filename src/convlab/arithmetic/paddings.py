"""One window on one image, under each padding that has a name: sizes, zeros, unseen pixels, counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

from convlab.arithmetic.effect import Layer
from convlab.arithmetic.sizes import (
    Padding,
    Rounding,
    size_keeping_padding,
    transposed_size,
    transposed_sizes,
)
from convlab.arithmetic.sliding import Conv, Pool
from convlab.arithmetic.tiling import tiling
from convlab.base.errors import ConvlabError

Axes = tuple[int, ...]  # h and w, or the one number where the image is a line of pixels
Named = Literal["VALID", "SAME"]
NAMED: tuple[Named, Named] = ("VALID", "SAME")


@dataclass(frozen=True)
class Question:
    """What was asked. padding: a number, one name alone, or None, where nothing was said."""

    image: Axes
    channels: int | None
    maps: int | None
    kernel: Axes
    stride: Axes
    dilation: Axes
    padding: Named | Axes | None
    output_padding: Axes

    def shows(self, padding: str) -> bool:
        """Whether the answer has `padding` (VALID, SAME or P): all have a place beside a number."""
        return self.padding not in NAMED or self.padding == padding

    def along(self, padding: Named | Axes) -> list[tuple[int, int, int, Padding, int]]:
        """(size, kernel, stride, padding, dilation) along each axis."""
        pads: Sequence[Padding] = [padding] * len(self.image) if isinstance(padding, str) else padding
        return list(zip(self.image, self.kernel, self.stride, pads, self.dilation, strict=True))

    @property
    def zeros(self) -> Axes:
        """The padding as a number, 0 unless given."""
        return self.padding if isinstance(self.padding, tuple) else (0,) * len(self.image)


@dataclass(frozen=True)
class Line:
    """One line of the answer: a padding, who has it, and its numbers or why there are none."""

    padding: str
    rounding: str | None
    origin: str
    numbers: dict[str, Any]
    refused: str | None = None

    @property
    def label(self) -> str:
        return self.padding if self.rounding is None else f"{self.padding}, {self.rounding}"


def forward(question: Question) -> list[Line]:
    """A convolution's or pooling's line for each padding; ConvlabError if the one asked for cannot be."""
    lines = [
        _line(name, None, "TensorFlow", partial(_windows, question, name, "floor"))
        for name in NAMED
        if question.shows(name)
    ]
    roundings: dict[Rounding, str] = {"floor": "PyTorch"}
    if question.maps is None:  # no convolution rounds up
        roundings["ceil"] = "PyTorch's pooling, ceil_mode=True"
    roundings["exact"] = "the textbook"
    lines += [
        _line(
            f"P = {by(question.zeros)}",
            rounding,
            origin,
            partial(_windows, question, question.zeros, rounding),
        )
        for rounding, origin in roundings.items()
        if question.shows("P")
    ]
    return _unless_refused(lines, question)


def transposed(question: Question) -> list[Line]:
    """A transposed convolution's lines; ConvlabError if the padding asked for cannot be."""
    lines = [
        _line(name, None, "TensorFlow", partial(_back, question, name))
        for name in NAMED
        if question.shows(name)
    ]
    if question.shows("P"):
        pads = f"P = {by(question.zeros)}, output_padding = {by(question.output_padding)}"
        lines.append(_line(pads, None, "PyTorch", partial(_back, question, question.zeros)))
    return _unless_refused(lines, question)


def _line(padding: str, rounding: str | None, origin: str, numbers: Callable[[], dict[str, Any]]) -> Line:
    try:
        return Line(padding, rounding, origin, numbers())
    except ConvlabError as error:
        return Line(padding, rounding, origin, {}, refused=str(error))


def _unless_refused(lines: list[Line], question: Question) -> list[Line]:
    """`lines`; raises ConvlabError if the padding that was asked for cannot be, or if none can."""
    asked = {"VALID": "VALID", "SAME": "SAME"}.get(str(question.padding), "P = ")
    if all(line.refused for line in lines):
        raise ConvlabError(str(lines[0].refused))
    if question.padding is not None:
        for line in lines:
            if line.padding.startswith(asked) and line.rounding in (None, "floor") and line.refused:
                raise ConvlabError(line.refused)
    return lines


def _windows(question: Question, padding: Named | Axes, rounding: Rounding) -> dict[str, Any]:
    found = [tiling(*axis, rounding=rounding) for axis in question.along(padding)]
    numbers: dict[str, Any] = {
        "output": [axis.outputs for axis in found],
        "zeros_before": [axis.before for axis in found],
        "zeros_after": [axis.after for axis in found],
        "unseen": [len(axis.unseen) for axis in found],
    }
    if rounding == "ceil":  # pooling has a rule of its own for padding
        _layer(Pool, question, padding, rounding=rounding).on((1, *_pair(question.image)))
    if question.maps is not None:
        effect = _layer(partial(Conv, question.maps), question, padding).on(
            (question.channels or 1, *question.image)
        )
        numbers["output"].append(question.maps)
        for name in ("parameters", "connections", "multiply_adds"):
            numbers[name] = getattr(effect, name)
    return numbers


def _layer(kind: Callable[..., Layer], question: Question, padding: Named | Axes, **more: Any) -> Layer:
    pads = padding if isinstance(padding, str) else _pair(padding)
    kernel, stride = _pair(question.kernel), _pair(question.stride)
    dilation = question.dilation[0] if len(set(question.dilation)) == 1 else _pair(question.dilation)
    return kind(kernel=kernel, stride=stride, padding=pads, dilation=dilation, **more)


def _pair(values: Axes) -> tuple[int, int]:
    """h and w; a line of pixels stands for a square."""
    return values[0], values[-1]


def _back(question: Question, padding: Named | Axes) -> dict[str, Any]:
    outputs, possible = [], []
    for axis, extra in zip(question.along(padding), question.output_padding, strict=True):
        size, kernel, stride, pad, dilation = axis
        if isinstance(pad, int):
            outputs.append(transposed_size(size, kernel, stride, pad, dilation, extra))
            first = outputs[-1] - extra
            sizes = range(max(first, 1), first + max(stride, dilation))
        else:
            outputs.append(transposed_size(size, kernel, stride, pad, dilation))
            sizes = transposed_sizes(size, kernel, stride, pad, dilation)
        possible.append([sizes[0], sizes[-1]])
    return {"output": outputs, "possible": possible}


def hints(question: Question) -> list[str]:
    """Sentences on the filters, and the padding that keeps the size at stride 1."""
    told = []
    if question.maps is not None:
        weights = prod(question.kernel) * (question.channels or 1)
        shape = "x".join(str(side) for side in (*question.kernel, question.channels))
        told.append(f"Each of the {question.maps} filters: {shape} = {weights} weights and 1 bias.")
    try:
        keeping = tuple(map(size_keeping_padding, question.kernel, question.dilation))
    except ConvlabError:  # an even window has none
        return told
    return [*told, f"P = {by(keeping)} keeps the size at stride 1."]


def by(value: Sequence[int]) -> str:
    """`2`, or heightxwidth where they differ."""
    return "x".join(str(number) for number in (value if len(set(value)) > 1 else value[:1]))
