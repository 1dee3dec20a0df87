"""Training images slightly turned, scaled, moved and mirrored, a batch at a time."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from convlab.base.errors import ConvlabError

BOUNDS = {"rotation": 180.0, "scale": 1.0, "shear": 1.0, "shift": math.inf, "mirror": 1.0}


@dataclass(frozen=True)
class Affine:
    """A random affine map for each image: what it may be, and nothing beyond.

    rotation: degrees, to either side.
    scale: share by which height and width, each on its own, grow or shrink at most.
    shear: horizontal offset at most, in heights.
    shift: pixels, in either direction.
    mirror: probability that left and right change places.
    """

    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    mirror: float = 0.0

    def __post_init__(self) -> None:
        for name, bound in BOUNDS.items():
            value = getattr(self, name)
            if not 0 <= value < bound:
                raise ConvlabError(f"augmentation.{name}={value}: expected 0 or more, below {bound:g}.")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images n c h w, each mapped in its own way."""
        draws = torch.rand(6, len(images), generator=generator) * 2 - 1
        matrices = self.matrices(draws)
        if self.mirror:  # otherwise nothing is drawn for it: the other draws are what they always were
            matrices[torch.rand(len(images), generator=generator) < self.mirror, :, 0] *= -1
        return warp(images, matrices)

    def matrices(self, draws: Tensor) -> Tensor:
        """n 2 3 for `warp`, from 6 n numbers between -1 and 1: 1 stands for the most that is allowed."""
        rotation, width, height, shear, right, down = draws
        angle = rotation * math.radians(self.rotation)
        cos, sin = angle.cos(), angle.sin()
        width, height, shear = 1 + width * self.scale, 1 + height * self.scale, shear * self.shear
        rows = [cos * width, cos * shear - sin * height, right * self.shift]
        rows += [sin * width, sin * shear + cos * height, down * self.shift]
        return torch.stack(rows, dim=1).view(-1, 2, 3)


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Images float32 n c h w, whose pixel at (x, y) from the centre comes from `matrices` (x, y, 1).

    Between pixels it is interpolated; outside, the nearest edge goes on.

    Args:
        matrices: n 2 3, in pixels, x to the right, y down.
    """
    half = torch.tensor([images.shape[3] / 2, images.shape[2] / 2])
    in_half_sides = matrices * torch.cat([half, torch.ones(1)]) / half[:, None]
    grid = functional.affine_grid(in_half_sides, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
