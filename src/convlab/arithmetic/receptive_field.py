"""What a unit of a layer sees of the image, along one axis.

Source: Araujo, Norris, Sim (2019), "Computing receptive fields of convolutional neural networks".
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """How a layer reads its input along one axis.

    `span` neighbours a unit, `stride` from one unit to the next, the first starting `before` its input.
    """

    span: int = 1
    stride: int = 1
    before: int = 0


@dataclass(frozen=True)
class ReceptiveField:
    """Pixels that a unit sees along one axis; `ReceptiveField()` is a pixel of the image itself.

    size: pixels from the first to the last; may exceed the image, the rest being padding.
    stride: pixels between the fields of neighbouring units ("jump").
    offset: centre of the first unit's field; 0 is the centre of the image's first pixel.
    """

    size: int = 1
    stride: int = 1
    offset: float = 0.0

    def through(self, window: Window) -> "ReceptiveField":
        """The field of a unit of the next layer, which reads this one through `window`."""
        return ReceptiveField(
            size=self.size + (window.span - 1) * self.stride,
            stride=self.stride * window.stride,
            offset=self.offset + ((window.span - 1) / 2 - window.before) * self.stride,
        )

    def union(self, other: "ReceptiveField") -> "ReceptiveField":
        """The field of a unit where two branches of the same stride meet."""
        first = min(field.offset - (field.size - 1) / 2 for field in (self, other))
        last = max(field.offset + (field.size - 1) / 2 for field in (self, other))
        return ReceptiveField(int(last - first) + 1, self.stride, (first + last) / 2)
