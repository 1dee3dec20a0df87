"""The layers without a window, as plain descriptions; those with one are in `sliding.py`."""

from dataclasses import dataclass
from math import prod

from convlab.arithmetic.effect import Effect, Shape, image_of
from convlab.arithmetic.receptive_field import Window
from convlab.base.errors import ConvlabError


@dataclass(frozen=True)
class GlobalAverage:
    """Mean of each map: c h w -> c, or c 1 1 unless `flat`."""

    flat: bool = True
    kind = "global average"

    def on(self, shape: Shape) -> Effect:
        channels, height, width = image_of(shape, self.kind)
        output = (channels,) if self.flat else (channels, 1, 1)
        return Effect(output, connections=prod(shape), windows=(Window(height), Window(width)))


@dataclass(frozen=True)
class Dense:
    """Every unit reads every value of a vector."""

    units: int
    bias: bool = True
    kind = "dense"

    def on(self, shape: Shape) -> Effect:
        if len(shape) != 1:
            raise ConvlabError(f"dense {self.units} expects a vector, found {shape}. Flatten comes first.")
        weights = shape[0] * self.units
        count = weights + self.bias * self.units
        return Effect((self.units,), parameters=count, connections=count, multiply_adds=weights)


@dataclass(frozen=True)
class RadialBasis:
    """The squared distance of a vector from each unit's fixed code: no parameters, as none is trained."""

    units: int
    kind = "radial basis"

    def on(self, shape: Shape) -> Effect:
        if len(shape) != 1:
            raise ConvlabError(
                f"radial basis {self.units} expects a vector, found {shape}. Flatten comes first."
            )
        count = shape[0] * self.units
        return Effect((self.units,), connections=count, multiply_adds=count)


@dataclass(frozen=True)
class Flatten:
    """c h w -> c * h * w values; from here on the map is read as a whole."""

    kind = "flatten"

    def on(self, shape: Shape) -> Effect:
        height, width = shape[1:] if len(shape) == 3 else (1, 1)
        return Effect((prod(shape),), windows=(Window(height), Window(width)), in_place=True)


@dataclass(frozen=True)
class BatchNorm:
    """One learned scale and shift a channel."""

    kind = "batch norm"

    def on(self, shape: Shape) -> Effect:
        return Effect(shape, parameters=2 * shape[0], connections=2 * prod(shape), in_place=True)


@dataclass(frozen=True)
class Activation:
    """A function of each value by itself, such as "relu"."""

    kind: str

    def on(self, shape: Shape) -> Effect:
        return Effect(shape, in_place=True)


@dataclass(frozen=True)
class Dropout:
    """Zeroes a value with probability `drop`, in training only."""

    drop: float

    @property
    def kind(self) -> str:
        return f"dropout {self.drop:g}"

    def on(self, shape: Shape) -> Effect:
        return Effect(shape, in_place=True)
