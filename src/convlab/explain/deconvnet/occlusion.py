"""Occlusion sensitivity: which pixels a classification hangs on.

Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks", section 4.2: cover one
part of the image after the other with a plain square, and see what becomes of the probability of the true
class. Where it falls, the covered part is what the network went by. Works for any classifier of pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet.strongest import pieces


@dataclass(frozen=True)
class Sensitivity:
    """What the network says with a square over each place of a grid on the image.

    probabilities: h w, of the class asked for. choices: h w, the likeliest class. rows, columns: the pixel
    that each square has in its middle. uncovered: the probability for the image as it is.
    """

    probabilities: Tensor
    choices: Tensor
    rows: list[int]
    columns: list[int]
    uncovered: float


@torch.no_grad()
def occlusion(
    network: nn.Module,
    image: Tensor,
    label: int,
    size: int,
    stride: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Sensitivity:
    """Slide a square over `image` c h w, the middle every `stride` pixels, edges included (it is cut there).

    The square has the image's mean in each channel. A square of an even `size` has its middle at the first
    pixel after its half. `advance` is told how many places are done. Raises ConvlabError for sizes that
    leave nothing to see.
    """
    height, width = image.shape[1:]
    if not 0 < size < min(height, width) or stride < 1:
        raise ConvlabError(
            f"occlusion.size={size}, occlusion.stride={stride}: expected a square smaller than the image of "
            f"{height}x{width}, moved by 1 pixel at least."
        )
    rows, columns = places(height, stride), places(width, stride)
    likeliest, of_label = [], []
    for row in rows:
        covered = torch.stack([cover(image, row, column, size) for column in columns])
        for part in pieces(covered):
            probabilities = network(part).softmax(1)
            likeliest.append(probabilities.argmax(1))
            of_label.append(probabilities[:, label])
        advance(len(columns))
    uncovered = network(image[None]).softmax(1)[0, label]
    grid = (len(rows), len(columns))
    return Sensitivity(
        torch.cat(of_label).reshape(grid).cpu(),
        torch.cat(likeliest).reshape(grid).cpu(),
        rows,
        columns,
        float(uncovered),
    )


def cover(image: Tensor, row: int, column: int, size: int) -> Tensor:
    """`image` c h w with its mean over the pixels of the square whose middle is at row and column."""
    covered = image.clone()
    top, left = row - size // 2, column - size // 2
    covered[:, max(top, 0) : top + size, max(left, 0) : left + size] = image.mean((1, 2), keepdim=True)
    return covered


def places(pixels: int, stride: int) -> list[int]:
    """Every `stride`-th pixel, as far from one edge as from the other (or one closer to the first)."""
    return list(range((pixels - 1) % stride // 2, pixels, stride))
