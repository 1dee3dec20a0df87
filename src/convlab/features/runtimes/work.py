"""What there is to compute: images of one size, through a backbone and its preprocessing."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from convlab.data.preprocessing import Preprocessing
from convlab.features.backbone import Backbone

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Work:
    """batch_size: images given to the runtime at a time, but for a last, smaller batch."""

    backbone: Backbone
    preprocessing: Preprocessing
    num_images: int
    batch_size: int

    @cached_property
    def network(self) -> "nn.Module":
        """Pixels uint8 n c h w, as `Preprocessing.pixels` gives them, -> vectors n d."""
        from torch import nn

        class FromPixels(nn.Module):
            def __init__(self, backbone: nn.Module, preprocessing: Preprocessing) -> None:
                super().__init__()
                self.backbone, self.preprocessing = backbone, preprocessing

            def forward(self, pixels: "Tensor") -> "Tensor":
                vectors: Tensor = self.backbone(self.preprocessing.normalize(pixels))
                return vectors

        return FromPixels(self.backbone.model, self.preprocessing).eval()

    def example(self, num_images: int) -> "Tensor":
        """Black images n c h w."""
        import torch

        size = self.preprocessing.size
        return torch.zeros(num_images, self.preprocessing.channels, size, size, dtype=torch.uint8)

    @cached_property
    def flop(self) -> int:
        """Floating-point operations of convolutions and matrix products, for all images; counted on one."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            self.network(self.example(1))
        return int(counter.get_total_flops()) * self.num_images
