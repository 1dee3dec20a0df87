"""What a layer does to a shape, and what that costs for one image: the terms that all layers speak in.

Connections are counted as LeCun, Bottou, Bengio, Haffner (1998) count them: what a unit reads plus its
bias, times the units; taps on padding are included. Multiply-adds are those of weights, so pooling
and biases cost none. `on` raises ConvlabError where a layer cannot take the shape it is given.
"""

from dataclasses import dataclass
from typing import Protocol

from convlab.arithmetic.receptive_field import Window
from convlab.base.errors import ConvlabError

Shape = tuple[int, ...]  # c h w, or one number of values


@dataclass(frozen=True)
class Effect:
    """What a layer does to one image.

    `windows` (h, w) is how it reads its input. `in_place`: it can overwrite its input, so that its
    output takes no memory of its own.
    """

    output: Shape
    parameters: int = 0
    connections: int = 0
    multiply_adds: int = 0
    windows: tuple[Window, Window] = (Window(), Window())
    in_place: bool = False


class Layer(Protocol):
    """Anything with a name for the table and an effect on a shape."""

    @property
    def kind(self) -> str: ...

    def on(self, shape: Shape) -> Effect: ...


def image_of(shape: Shape, kind: str) -> tuple[int, int, int]:
    """c h w of `shape`; raises ConvlabError, naming the layer's `kind`, for a vector."""
    if len(shape) != 3:
        raise ConvlabError(f"{kind} expects an image, c h w; found {shape}.")
    return shape[0], shape[1], shape[2]
