"""The distribution that weights start from."""

import pytest
import torch
from scipy import stats
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.models.initialization import truncated_normal
from convlab.models.lenet import LeNet


def test_weights_follow_the_normal_distribution_cut_at_two_standard_deviations():
    torch.manual_seed(0)
    network = LeNet()
    truncated_normal(network, std=0.1)
    weights = network.fc1.weight.detach().flatten()  # 1,605,632 draws
    assert weights.abs().max() <= 0.2
    assert weights.std().item() == pytest.approx(0.0879626, abs=2e-4)  # of truncnorm(-2, 2), times 0.1
    sample = weights[::16].double().numpy()
    assert stats.kstest(sample, stats.truncnorm(-2, 2, scale=0.1).cdf).pvalue > 0.001
    assert stats.kstest(sample, stats.norm(scale=0.1).cdf).pvalue < 1e-9  # a plain normal is told apart


def test_biases_start_from_zero_and_batch_norm_from_one():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    truncated_normal(network, std=0.5)
    assert not network[0].bias.any()
    assert not network[3].bias.any()
    assert network[1].weight.tolist() == [1, 1]


@pytest.mark.parametrize("std", [0, -0.1])
def test_an_impossible_deviation_is_refused(std):
    with pytest.raises(ConvlabError, match=f"init.std={std}"):
        truncated_normal(LeNet(), std)
