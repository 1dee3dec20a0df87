"""The networks against numbers worked out by hand and against plain loops."""

import numpy as np
import pytest
import torch
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.models.fully_connected import FullyConnected
from convlab.models.heads import LinearHead, MLPHead
from convlab.models.lenet import LeNet, LeNet5


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_lenet5_parameters_layer_by_layer():
    network = LeNet5()
    counts = {name: parameters(layer) for name, layer in network.named_children() if parameters(layer)}
    assert counts == {"c1": 156, "c3": 2416, "c5": 48120, "f6": 10164, "output": 850}
    assert parameters(network) == 61_706


def test_lenet_parameters():
    # 5*5*32+32, 5*5*32*64+64, 7*7*64*512+512, 512*10+10
    assert parameters(LeNet()) == 832 + 51_264 + 1_606_144 + 5_130


def test_fully_connected_parameters():
    assert parameters(FullyConnected()) == 784 * 500 + 500 + 500 * 10 + 10 == 397_510


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (LeNet5(), (1, 32, 32)),
        (LeNet(), (1, 28, 28)),
        (FullyConnected(), (1, 28, 28)),
        (LinearHead(2048, 10), (2048,)),
        (MLPHead(2048, 10), (2048,)),
    ],
)
def test_ten_logits_an_image(network, shape):
    assert network(torch.zeros(3, *shape)).shape == (3, 10)


def conv_by_loops(image: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """VALID cross-correlation of c h w with o c k k, written out."""
    num_maps, _, k, _ = weight.shape
    height, width = image.shape[1] - k + 1, image.shape[2] - k + 1
    out = np.zeros((num_maps, height, width))
    for o in range(num_maps):
        for y in range(height):
            for x in range(width):
                out[o, y, x] = (image[:, y : y + k, x : x + k] * weight[o]).sum() + bias[o]
    return out


def pool_by_loops(maps: np.ndarray) -> np.ndarray:
    return maps.reshape(maps.shape[0], maps.shape[1] // 2, 2, maps.shape[2] // 2, 2).max(axis=(2, 4))


def test_lenet5_is_what_its_layers_say():
    torch.manual_seed(0)
    network = LeNet5().double()
    image = torch.randn(1, 32, 32, dtype=torch.float64)
    w = {name: value.numpy() for name, value in network.state_dict().items()}
    s2 = pool_by_loops(np.maximum(conv_by_loops(image.numpy(), w["c1.weight"], w["c1.bias"]), 0))
    s4 = pool_by_loops(np.maximum(conv_by_loops(s2, w["c3.weight"], w["c3.bias"]), 0))
    c5 = np.maximum(conv_by_loops(s4, w["c5.weight"], w["c5.bias"]), 0).reshape(120)
    f6 = np.maximum(w["f6.weight"] @ c5 + w["f6.bias"], 0)
    expected = w["output.weight"] @ f6 + w["output.bias"]
    np.testing.assert_allclose(network(image[None])[0].detach().numpy(), expected, rtol=1e-10)


def test_same_padding_lets_lenet_see_the_border():
    network = LeNet()
    corner = torch.zeros(1, 1, 28, 28)
    corner[..., 0, 0] = 1.0
    maps = network.conv1(corner) - network.conv1.bias.view(1, -1, 1, 1)
    # the output at (0, 0) is centred on the corner pixel: the kernel's middle weight
    torch.testing.assert_close(maps[0, :, 0, 0], network.conv1.weight[:, 0, 2, 2])


def test_dropout_only_in_training():
    torch.manual_seed(0)
    network = LeNet(drop=0.25)
    hidden = torch.ones(2000, 512)
    zeroed = (network.train().dropout(hidden) == 0).float().mean().item()
    assert zeroed == pytest.approx(0.25, abs=0.002)  # 1,024,000 draws: 4.7 standard deviations
    assert torch.equal(network.eval().dropout(hidden), hidden)


def test_dropout_divides_what_it_keeps():
    torch.manual_seed(0)
    kept = LeNet(keep=0.8).train().dropout(torch.ones(2000, 512))
    assert set(kept.unique().tolist()) == {0.0, 1.25}  # 1 / 0.8: the mean stays 1
    assert kept.mean().item() == pytest.approx(1, abs=0.0025)  # five standard deviations of 0.0005


@pytest.mark.parametrize(
    "make", [LeNet, lambda **how: LinearHead(4, 2, **how), lambda **how: MLPHead(4, 2, **how)]
)
def test_keeping_is_the_other_way_to_say_dropping(make):
    assert make(drop=0.9, keep=0.75).dropout.p == make(drop=0.25).dropout.p == 0.25


@pytest.mark.parametrize("how", [{"drop": 1.0}, {"drop": -0.1}, {"keep": 0.0}, {"keep": 1.5}])
def test_impossible_probabilities_are_refused(how):
    ((name, value),) = how.items()
    with pytest.raises(ConvlabError, match=f"model.{name}={value}"):
        LeNet(**how)


def test_pooling_by_average():
    torch.manual_seed(0)
    network, image = LeNet5(pooling="average"), torch.randn(1, 1, 32, 32)
    maps = network.relu1(network.c1(image))
    means = maps.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(network.s2(maps), means)
    assert parameters(network) == 61_706
    with pytest.raises(ConvlabError, match="pooling=median: choose max or average"):
        LeNet(pooling="median")
