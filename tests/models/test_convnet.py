"""The convolutional network with batch norm: its parameters and shapes, counted by hand."""

import pytest
import torch
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.models.convnet import ConvNet


def test_parameters_by_hand():
    network = ConvNet(maps=[16, 32], kernels=[5, 3], pool=[True, True], hidden=100)
    convolutions = 16 * 5 * 5 + 32 * 16 * 3 * 3  # no bias
    norms = 2 * 16 + 2 * 32
    dense = 32 * 7 * 7 * 100 + 100 + 100 * 10 + 10
    assert sum(parameter.numel() for parameter in network.parameters()) == convolutions + norms + dense
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_each_block_pools_before_it_normalizes_and_only_where_it_is_told():
    network = ConvNet(maps=[4, 8, 8], kernels=[5, 3, 3], pool=[True, False, True], size=12)
    assert [type(layer).__name__ for layer in network][:12] == [
        *("Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"),
        *("Conv2d", "BatchNorm2d", "ReLU"),
        *("Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"),
        "Flatten",
    ]
    assert network.fc1.in_features == 8 * 3 * 3


def test_a_block_computes_what_its_parts_do():
    torch.manual_seed(0)
    network = ConvNet(maps=[4], kernels=[5], pool=[True], drop=0.5).eval()
    network.norm1.running_mean.uniform_(), network.norm1.running_var.uniform_(0.5, 2)
    images = torch.randn(3, 1, 28, 28)
    found = nn.Sequential(*list(network)[:4])(images)
    maps = nn.functional.max_pool2d(nn.functional.conv2d(images, network.conv1.weight, padding=2), 2)
    mean, var = (each.view(-1, 1, 1) for each in (network.norm1.running_mean, network.norm1.running_var))
    assert torch.allclose(found, ((maps - mean) / (var + 1e-5).sqrt()).relu(), atol=1e-5)


@pytest.mark.parametrize(("maps", "kernels"), [([16], [5, 3]), ([], [])])
def test_blocks_that_are_not_all_described_are_refused(maps, kernels):
    with pytest.raises(ConvlabError, match=r"must have an entry for each block"):
        ConvNet(maps, kernels, pool=[True] * len(maps))
