"""What a unit of a convolutional network reacted to, in pixels: the deconvolutional network.

Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks", section 2.1: run an image
to a layer, keep one activation, set all others to zero, and go back layer by layer. Maximum pooling is
undone with the switches that the image set, a ReLU lets through only what is positive on the way back too,
and a convolution is undone by its transpose; biases are left out.

Without ReLU this is the activation times its gradient. With ReLU it is not: the gradient passes where the
activation was positive on the way up, the deconvolutional network where the reconstruction is positive
on the way down.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from convlab.arithmetic.receptive_field import ReceptiveField
from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet.reversible import Step, forward


@dataclass(frozen=True)
class Projection:
    """One activation of each image, projected back.

    pixels: n c h w, zero outside of the boxes.
    activations: n, what each projection started from.
    positions: n 2, its row and column in the feature map.
    boxes: n 4, the pixels that the unit sees: top, left, bottom, right, the last two exclusive; cut at the
        edges of the image. At an edge it may see less, where padding of a layer in between takes the place
        of pixels.
    """

    pixels: torch.Tensor
    activations: torch.Tensor
    positions: torch.Tensor
    boxes: torch.Tensor


@torch.no_grad()
def project(
    network: nn.Sequential,
    images: torch.Tensor,
    layer: str,
    maps: int | Sequence[int] | torch.Tensor,
    positions: torch.Tensor | None = None,
) -> Projection:
    """Project one activation of each of images n c h w back from the output of `layer`, a name in `network`.

    maps: the feature map, one number or one for each image. positions: n 2, row and column in it; where the
    map is strongest unless given. Raises ConvlabError for a layer that is not there or that there is no way
    back through, and for a map or position that is not there.
    """
    steps = forward(network, images, layer)
    output = steps[-1].output
    here = torch.arange(len(images), device=output.device)
    chosen = torch.as_tensor([maps] * len(images) if isinstance(maps, int) else maps, device=output.device)
    _check(chosen, (len(images),), (output.shape[1],), f"maps of {layer}")
    if positions is None:
        positions = _strongest(output[here, chosen])
    positions = positions.to(output.device)
    _check(positions, (len(images), 2), output.shape[2:], f"positions in {layer}")
    kept = (here, chosen, *positions.unbind(1))
    value = torch.zeros_like(output)
    value[kept] = output[kept]
    for step in reversed(steps):
        value = step.back(value)
    return Projection(value, output[kept], positions, _boxes(steps, positions, images.shape[2:]))


@torch.no_grad()
def activations(network: nn.Sequential, images: torch.Tensor, layer: str) -> torch.Tensor:
    """The output n c h w of `layer` for images n c h w, as in evaluation."""
    return forward(network, images, layer)[-1].output


def crop(images: torch.Tensor, boxes: torch.Tensor) -> list[torch.Tensor]:
    """The patch c h w of each image n c h w that lies in its box; smaller where the edge has cut the box."""
    corners = zip(images, boxes.tolist(), strict=True)
    return [image[:, top:bottom, left:right] for image, (top, left, bottom, right) in corners]


def _strongest(maps: torch.Tensor) -> torch.Tensor:
    """n 2, row and column of the largest value of maps n h w."""
    largest = maps.flatten(1).argmax(1)
    return torch.stack([largest // maps.shape[2], largest % maps.shape[2]], dim=1)


def receptive_fields(steps: list[Step]) -> tuple[ReceptiveField, ReceptiveField]:
    """What a unit of the last step sees of the image, along h and along w."""
    fields = (ReceptiveField(), ReceptiveField())
    for step in steps:
        if step.windows:
            down, across = step.windows.read()
            fields = fields[0].through(down), fields[1].through(across)
    return fields


def _boxes(steps: list[Step], positions: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    fields = receptive_fields(steps)
    offset = positions.new_tensor([int(field.offset - (field.size - 1) / 2) for field in fields])
    stride = positions.new_tensor([field.stride for field in fields])
    extent = positions.new_tensor([field.size for field in fields])
    limit = positions.new_tensor(size)
    first = offset + positions * stride
    return torch.cat([edge.clamp(min=0).minimum(limit) for edge in (first, first + extent)], dim=1)


def _check(numbers: torch.Tensor, shape: tuple[int, ...], counts: Sequence[int], what: str) -> None:
    """Refuse `numbers` of another shape, or one below 0 or not below its count (of its column)."""
    if numbers.shape != shape:
        raise ConvlabError(f"{what}: expected the shape {shape}, found {tuple(numbers.shape)}.")
    if ((numbers < 0) | (numbers >= numbers.new_tensor(counts))).any():
        ranges = " and ".join(f"0 to {count - 1}" for count in counts)
        raise ConvlabError(f"{what}: expected {ranges}, found {numbers.tolist()}.")
