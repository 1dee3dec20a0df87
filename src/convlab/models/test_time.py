"""Test-time averaging: one network's opinion on several versions of an image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ShiftAveraged(nn.Module):
    """In evaluation, the mean of the probabilities over shifted copies; in training, `network` itself.

    Test-time augmentation as in Krizhevsky, Sutskever, Hinton (2012), section 4.1, which average over crops.
    n c h w -> n `num_classes` logarithms of probabilities, so that softmax gives the probabilities.

    Args:
        network: one image batch to logits.
        shifts: (down, right) in pixels, of each copy; what leaves at one side comes in at the other, which
            changes nothing where images have an empty border that wide.
    """

    def __init__(
        self,
        network: nn.Module,
        shifts: Sequence[Sequence[int]] = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)),
    ) -> None:
        super().__init__()
        self.network = network
        self.shifts = [(down, right) for down, right in shifts]

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """c h w that the network is made for, where it says so."""
        return getattr(self.network, "input_shape", None)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            logits: Tensor = self.network(images)
            return logits
        copies = [self.network(images.roll(shift, (2, 3))).log_softmax(1) for shift in self.shifts]
        return torch.stack(copies).logsumexp(0).sub(torch.tensor(float(len(copies))).log())
