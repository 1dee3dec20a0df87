"""Averaging over shifted copies, by hand."""

import torch
from torch import nn

from convlab.models.test_time import ShiftAveraged


class Corner(nn.Module):
    """Logits from the top left pixel alone."""

    def forward(self, images):
        value = images[:, 0, 0, 0]
        return torch.stack([value, torch.zeros_like(value)], dim=1)


IMAGES = torch.tensor([[[[2.0, 5.0], [-3.0, 0.0]]]])


def test_evaluation_takes_the_mean_of_the_probabilities():
    network = ShiftAveraged(Corner(), [(0, 0), (1, 0), (0, 1)]).eval()
    corners = torch.tensor([2.0, -3.0, 5.0])  # one down: the pixel of the row below comes in at the top
    first = corners.sigmoid().mean()
    assert torch.allclose(network(IMAGES).softmax(1), torch.stack([first, 1 - first])[None])
    assert torch.allclose(network(IMAGES).exp().sum(), torch.tensor(1.0))


def test_training_sees_the_image_as_it_is():
    network = ShiftAveraged(Corner(), [(1, 0)]).train()
    assert torch.equal(network(IMAGES), torch.tensor([[2.0, 0.0]]))
