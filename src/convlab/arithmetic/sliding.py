"""The layers that slide a window over an image, as plain descriptions."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from convlab.arithmetic.effect import Effect, Shape, image_of
from convlab.arithmetic.receptive_field import Window
from convlab.arithmetic.sizes import Padding, Rounding, output_size, padding_before_after, span
from convlab.base.errors import ConvlabError

Pair = int | tuple[int, int]  # h w, or one number for both


@dataclass(frozen=True)
class Conv:
    """Convolution to `maps` feature maps."""

    maps: int
    kernel: Pair
    stride: Pair = 1
    padding: Padding | tuple[int, int] = "VALID"
    dilation: Pair = 1
    groups: int = 1
    bias: bool = True

    @property
    def kind(self) -> str:
        extras = [f"dilation {_one(self.dilation)}"] if self.dilation != 1 else []
        extras += [f"{self.groups} groups"] if self.groups != 1 else []
        return _sliding("conv", self.kernel, self.stride, self.padding, extras)

    def on(self, shape: Shape) -> Effect:
        channels, height, width = image_of(shape, self.kind)
        if self.groups < 1 or channels % self.groups or self.maps % self.groups:
            raise ConvlabError(f"groups {self.groups} must divide {channels} channels and {self.maps} maps.")
        slide = (self.kernel, self.stride, self.padding, self.dilation)
        sizes, windows = _slide((height, width), *slide, "floor")
        weights = prod(_pair(self.kernel)) * channels // self.groups
        units = self.maps * prod(sizes)
        return Effect(
            output=(self.maps, *sizes),
            parameters=(weights + self.bias) * self.maps,
            connections=(weights + self.bias) * units,
            multiply_adds=weights * units,
            windows=windows,
        )


@dataclass(frozen=True)
class TableConv:
    """Convolution whose output map o reads the input maps `table[o]` only: LeNet-5's C3 of 1998."""

    table: tuple[tuple[int, ...], ...]
    kernel: Pair

    @property
    def kind(self) -> str:
        return f"conv {_by(self.kernel)} by table"

    def on(self, shape: Shape) -> Effect:
        channels, height, width = image_of(shape, self.kind)
        if any(not 0 <= read < channels for reads in self.table for read in reads):
            raise ConvlabError(f"{self.kind}: the table reads maps beyond the {channels} there are.")
        sizes, windows = _slide((height, width), self.kernel, 1, "VALID", 1, "floor")
        weights = prod(_pair(self.kernel)) * sum(len(reads) for reads in self.table)
        parameters = weights + len(self.table)
        return Effect(
            output=(len(self.table), *sizes),
            parameters=parameters,
            connections=parameters * prod(sizes),
            multiply_adds=weights * prod(sizes),
            windows=windows,
        )


@dataclass(frozen=True)
class Pool:
    """Maximum or average over a window, map by map; the stride is the kernel unless given."""

    kernel: Pair
    stride: Pair | None = None
    padding: Padding | tuple[int, int] = "VALID"
    rounding: Rounding = "floor"
    mode: Literal["max", "average"] = "max"
    dilation: Pair = 1

    @property
    def kind(self) -> str:
        extras = [f"dilation {_one(self.dilation)}"] if self.dilation != 1 else []
        extras += [self.rounding] if self.rounding != "floor" else []
        stride = self.kernel if self.stride is None else self.stride
        return _sliding(f"{self.mode} pool", self.kernel, stride, self.padding, extras)

    def on(self, shape: Shape) -> Effect:
        channels, height, width = image_of(shape, self.kind)
        stride = self.kernel if self.stride is None else self.stride
        slide = (self.kernel, stride, self.padding, self.dilation)
        sizes, windows = _slide((height, width), *slide, self.rounding)
        for taps, window in zip(_pair(self.kernel), windows, strict=True):
            if self.padding != "SAME" and window.before > taps // 2:  # PyTorch's rule
                raise ConvlabError(f"{self.kind}: the padding must be {taps // 2} at most, half the kernel.")
        output = (channels, *sizes)
        return Effect(output, connections=prod(_pair(self.kernel)) * prod(output), windows=windows)


@dataclass(frozen=True)
class Subsampling:
    """The sum of each window, times one trained coefficient a map, plus one bias a map; LeNet-5, 1998."""

    kernel: Pair

    @property
    def kind(self) -> str:
        return _sliding("subsample", self.kernel, self.kernel, "VALID", [])

    def on(self, shape: Shape) -> Effect:
        channels, height, width = image_of(shape, self.kind)
        sizes, windows = _slide((height, width), self.kernel, self.kernel, "VALID", 1, "floor")
        units = channels * prod(sizes)
        return Effect(
            output=(channels, *sizes),
            parameters=2 * channels,
            connections=(prod(_pair(self.kernel)) + 1) * units,
            multiply_adds=units,
            windows=windows,
        )


def _pair(value: Pair) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _by(value: Pair) -> str:
    return "x".join(str(number) for number in _pair(value))


def _one(value: Pair) -> str:
    return str(_pair(value)[0]) if len(set(_pair(value))) == 1 else _by(value)


def _sliding(
    name: str, kernel: Pair, stride: Pair, padding: Padding | tuple[int, int], extras: list[str]
) -> str:
    """As "conv 3x3/2, pad 1": the kernel, a stride other than 1, a padding other than none."""
    step = "" if _one(stride) == "1" else f"/{_one(stride)}"
    pads = [] if padding == "VALID" else [padding if isinstance(padding, str) else f"pad {_one(padding)}"]
    return ", ".join([f"{name} {_by(kernel)}{step}", *pads, *extras])


def _slide(
    sizes: tuple[int, int],
    kernel: Pair,
    stride: Pair,
    padding: Padding | tuple[int, int],
    dilation: Pair,
    rounding: Rounding,
) -> tuple[tuple[int, int], tuple[Window, Window]]:
    """Output h w and the windows along h and w."""
    pads = padding if isinstance(padding, tuple) else (padding, padding)
    outputs, windows = [], []
    axes = zip(sizes, _pair(kernel), _pair(stride), pads, _pair(dilation), strict=True)
    for size, taps, step, pad, spread in axes:
        outputs.append(output_size(size, taps, step, pad, spread, rounding))
        before, _ = padding_before_after(size, taps, step, pad, spread)
        windows.append(Window(span(taps, spread), step, before))
    return (outputs[0], outputs[1]), (windows[0], windows[1])
