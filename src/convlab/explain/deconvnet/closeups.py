"""A unit's projection beside what it saw: both cut to its receptive field.

A unit sees its receptive field and nothing else, so only that part of the image has to go up to the unit and
back. The part starts where the strides of all layers begin anew, so every layer's windows lie as they do
on the whole image, and the result is `project`'s. Early layers of a deep network take a
thousandth of the time for it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convlab.arithmetic.receptive_field import ReceptiveField
from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet.projection import project, receptive_fields
from convlab.explain.deconvnet.reversible import STEPS, forward
from convlab.explain.deconvnet.strongest import pieces

Fields = tuple[ReceptiveField, ReceptiveField]  # along h, along w


@dataclass(frozen=True)
class Closeup:
    """What one unit saw, and what it reacted to.

    patch: c h w of the image; projection: c h w. Both as large as the receptive field, or as the image where
    that is smaller; not a number where the field reaches beyond the image.
    box: the pixels in the image, top, left, bottom, right, the last two exclusive.
    """

    patch: Tensor
    projection: Tensor
    activation: float
    box: tuple[int, int, int, int]


def reversible_layers(network: nn.Sequential) -> list[str]:
    """The layers up to the first that the deconvolutional network can't go back through, dropout left out."""
    names = []
    for name, module in network.named_children():
        if type(module) not in STEPS:
            break
        if not isinstance(module, nn.Dropout):
            names.append(name)
    return names


@torch.no_grad()
def fields_of(network: nn.Sequential, image: Tensor) -> dict[str, Fields]:
    """The receptive field of each of `reversible_layers` along h and w, for images like 1 c h w."""
    layers = reversible_layers(network)
    if not layers:
        return {}
    steps = forward(network, image, layers[-1])
    names = [name for name, _ in network.named_children()]
    passed = {name: steps[: number + 1] for number, name in enumerate(names[: len(steps)])}
    return {name: receptive_fields(passed[name]) for name in layers}


def closeups(
    network: nn.Sequential,
    images: Tensor,
    layer: str,
    fields: Fields,
    maps: Sequence[int],
    positions: Sequence[tuple[int, int]],
) -> list[Closeup]:
    """One unit of `layer` for each of images n c h w: in the map and at the position (row, column) given.

    fields: of that layer, from `fields_of`.
    """
    if not len(images) == len(maps) == len(positions):
        raise ConvlabError(f"{len(images)} images, {len(maps)} maps and {len(positions)} positions.")
    spans = [
        [
            _Span.of(field, place, size)
            for field, place, size in zip(fields, position, images.shape[2:], strict=True)
        ]
        for position in positions
    ]
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)  # parts of one size go together
    for index, (down, across) in enumerate(spans):
        groups[down.end - down.start, across.end - across.start].append(index)
    made: dict[int, Closeup] = {}
    for members in groups.values():
        parts = torch.stack([images[i, :, spans[i][0].rows, spans[i][1].rows] for i in members])
        done = 0
        for part in pieces(parts):
            here = members[done : done + len(part)]
            done += len(part)
            units = torch.tensor([[span.unit for span in spans[i]] for i in here])
            back = project(network, part, layer, [maps[i] for i in here], units)
            for i, image, pixels, value in zip(
                here, part, back.pixels, back.activations.tolist(), strict=True
            ):
                made[i] = _closeup(image, pixels, value, *spans[i])
    return [made[i] for i in range(len(images))]


@dataclass(frozen=True)
class _Span:
    """Along one axis: the part of the image that is taken, and what the unit sees.

    start, end: the part. first, last: the receptive field, which may reach beyond the image (last exclusive).
    unit: the unit's place in the map that the part makes. size: of the image.
    """

    start: int
    end: int
    first: int
    last: int
    unit: int
    size: int

    @classmethod
    def of(cls, field: ReceptiveField, place: int, size: int) -> "_Span":
        first = int(field.offset - (field.size - 1) / 2) + place * field.stride
        last = first + field.size
        skipped = max(first, 0) // field.stride
        start, end = skipped * field.stride, min(last, size)
        return cls(start, end, first, last, place - skipped, size)

    @property
    def rows(self) -> slice:
        return slice(self.start, self.end)

    @property
    def seen(self) -> slice:
        """What the unit sees, counted from the part's start."""
        return slice(max(self.first, 0) - self.start, self.end - self.start)

    @property
    def shown(self) -> tuple[int, int]:
        """Size of the close-up, and where in it the seen pixels begin."""
        if self.last - self.first > self.size:
            return self.size, max(self.first, 0)
        return self.last - self.first, max(-self.first, 0)


def _closeup(image: Tensor, pixels: Tensor, activation: float, down: _Span, across: _Span) -> Closeup:
    box = (max(down.first, 0), max(across.first, 0), down.end, across.end)
    patch, projection = (
        _place(values[:, down.seen, across.seen].cpu(), down.shown, across.shown)
        for values in (image, pixels)
    )
    return Closeup(patch, projection, activation, box)


def _place(values: Tensor, down: tuple[int, int], across: tuple[int, int]) -> Tensor:
    channels, height, width = values.shape
    canvas = torch.full((channels, down[0], across[0]), torch.nan)
    canvas[:, down[1] : down[1] + height, across[1] : across[1] + width] = values
    return canvas
