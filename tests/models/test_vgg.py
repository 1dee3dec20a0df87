"""VGG-16 against torchvision's and timm's, on the meta device where weights do not matter."""

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.models import vgg
from convlab.models.initialization import he_normal


@pytest.fixture(scope="module")
def empty():
    with torch.device("meta"):
        return vgg.VGG16().eval()


def test_as_published(empty):
    assert sum(parameter.numel() for parameter in empty.parameters()) == 138_357_544
    names = [name for name, layer in empty.named_children() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert names == [
        *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
        *("conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3", "fc6", "fc7", "fc8"),
    ]
    assert empty(torch.zeros(2, 3, 224, 224, device="meta")).shape == (2, 1000)


@pytest.mark.parametrize("build", [torchvision.models.vgg16, lambda: timm.create_model("vgg16")])
def test_the_layers_are_those_of_torchvision_and_timm_in_order(empty, build):
    with torch.device("meta"):
        peer = build().eval()
    expected = empty.state_dict()
    found = vgg.renamed(peer.state_dict(), empty)
    assert list(found) == list(expected)
    assert {name: each.shape for name, each in found.items()} == {n: e.shape for n, e in expected.items()}


def test_features_equal_torchvision_s(empty):
    """On 32x32 pixels, which come to 512 1 1; the classifier is compared apart."""
    with torch.device("meta"):
        peer = torchvision.models.vgg16().features
    peer = peer.to_empty(device="cpu")
    he_normal(peer, torch.Generator().manual_seed(0))
    state = {f"features.{name}": tensor for name, tensor in peer.state_dict().items()}
    state |= torchvision_classifier()
    with torch.device("meta"):
        network = vgg.VGG16(num_classes=7)
    network.load_state_dict(vgg.renamed(state, network), assign=True)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    features = nn.Sequential(*list(network)[: list(network).index(network.flatten)])
    with torch.no_grad():
        ours, theirs = features(images), peer(images)
    assert float(theirs.abs().mean()) > 0.1  # the signal has come through thirteen layers
    torch.testing.assert_close(ours, theirs)


def torchvision_classifier(num_classes=7):
    """Zeros that take no memory, in torchvision's shapes."""
    sizes = {"0": (4096, 25088), "3": (4096, 4096), "6": (num_classes, 4096)}
    return {
        f"classifier.{layer}.{kind}": torch.zeros(1).expand(shape if kind == "weight" else shape[:1])
        for layer, shape in sizes.items()
        for kind in ("weight", "bias")
    }


def test_timm_s_convolution_in_place_of_a_linear_layer_is_the_same_numbers():
    kernel = torch.randn(5, 4, 7, 7)
    maps = torch.randn(2, 4, 7, 7)
    linear = nn.functional.linear(maps.flatten(1), kernel.flatten(1))
    torch.testing.assert_close(nn.functional.conv2d(maps, kernel).flatten(1), linear, rtol=1e-4, atol=1e-4)


def test_he_normal_keeps_the_size_of_signals():
    """Weights of variance 2 / n: a ReLU halves the mean square, and the next layer doubles it."""
    network = nn.Sequential(*[part for _ in range(5) for part in (nn.Linear(1000, 1000), nn.ReLU())])
    he_normal(network, torch.Generator().manual_seed(0))
    assert float(network[0].weight.detach().std()) == pytest.approx((2 / 1000) ** 0.5, rel=0.02)
    assert not network[0].bias.any()
    inputs = torch.randn(100, 1000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # PyTorch's own start would leave 6 ** -5 of it
        assert float(network(inputs).square().mean()) == pytest.approx(1, rel=0.4)


def test_another_network_s_file_is_refused(tmp_path):
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ConvlabError, match="expected the 32 tensors"):
        vgg.published(tmp_path / "model.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConvlabError, match=r"broken.safetensors does not hold the weights of timm's vgg16"):
        vgg.published(tmp_path / "broken.safetensors")


def test_imagenet_s_classes_in_order():
    names = vgg.imagenet_classes()
    assert (len(names), names[0], names[985]) == (1000, "tench", "daisy")
