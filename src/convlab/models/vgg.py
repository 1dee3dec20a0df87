"""VGG-16, for photos of 224x224, and the weights of its publication."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.models.architectures import VGG16_STAGES
from convlab.models.initialization import he_normal

if TYPE_CHECKING:
    from torch import Tensor


class VGG16(nn.Sequential):
    """VGG-16; 138,357,544 parameters with 1,000 classes.

    Input n 3 224 224: five stages of 3x3 convolutions, each ended by 2x2 pooling, then three fully connected
    layers. Configuration D of Simonyan and Zisserman (2014), "Very deep convolutional networks for
    large-scale image recognition", with the layers' names there. torchvision's `vgg16` has an adaptive
    average pooling before the flattening; at 224x224 it changes nothing, and is left out.

    Args:
        drop: probability that dropout zeroes a unit of the two hidden layers, in training.
    """

    def __init__(self, num_classes: int = 1000, drop: float = 0.5) -> None:
        super().__init__()
        channels = 3
        for stage, widths in enumerate(VGG16_STAGES, start=1):
            for place, maps in enumerate(widths, start=1):
                self.add_module(f"conv{stage}_{place}", nn.Conv2d(channels, maps, kernel_size=3, padding=1))
                self.add_module(f"relu{stage}_{place}", nn.ReLU())
                channels = maps
            self.add_module(f"pool{stage}", nn.MaxPool2d(2))
        self.flatten = nn.Flatten()
        self.fc6 = nn.Linear(512 * 7 * 7, 4096)
        self.relu6 = nn.ReLU()
        self.drop6 = nn.Dropout(drop)
        self.fc7 = nn.Linear(4096, 4096)
        self.relu7 = nn.ReLU()
        self.drop7 = nn.Dropout(drop)
        self.fc8 = nn.Linear(4096, num_classes)


def published(path: Path, num_classes: int = 1000, drop: float = 0.5) -> VGG16:
    """VGG-16 with the weights of timm's `vgg16` in a safetensors file, in evaluation mode.

    Raises ConvlabError when the file does not hold them.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = _empty(num_classes, drop)
    try:
        network.load_state_dict(renamed(load_file(path), network), assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise ConvlabError(f"{path} does not hold the weights of timm's vgg16: {error}") from None
    return network.float().eval()


def seeded(seed: int, num_classes: int = 1000, drop: float = 0.5) -> VGG16:
    """VGG-16 with random weights that `he_normal` draws from `seed`, in evaluation mode."""
    network = _empty(num_classes, drop).to_empty(device="cpu")
    he_normal(network, torch.Generator().manual_seed(seed))
    return network.eval()


def renamed(state: "dict[str, Tensor]", network: VGG16) -> "dict[str, Tensor]":
    """The state dict of torchvision's or timm's `vgg16` with the names and shapes of `network`'s.

    Both keep the layers in this order. timm's fully connected layers are convolutions, 7x7 and 1x1: the
    same numbers, in the same order.
    """
    expected = network.state_dict()
    if len(state) != len(expected):
        raise ConvlabError(f"expected the {len(expected)} tensors of vgg16's state dict, found {len(state)}.")
    names = sorted(state, key=_place)
    return {
        own: state[name].flatten(1) if state[name].ndim == 4 and expected[own].ndim == 2 else state[name]
        for own, name in zip(expected, names, strict=True)
    }


def imagenet_classes() -> list[str]:
    """ImageNet's 1,000 classes, the first of each one's names, in the order of the published outputs."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return [info.index_to_description(index).split(",")[0] for index in range(info.num_classes())]


def _empty(num_classes: int, drop: float) -> VGG16:
    """Without memory for weights, which drawing 138 million of them twice would cost."""
    with torch.device("meta"):
        return VGG16(num_classes, drop)


PARTS = ("features", "pre_logits", "classifier", "head")


def _place(name: str) -> tuple[int, int, bool]:
    """Where a tensor of timm or torchvision belongs: part, number of the layer in it, weight before bias."""
    part, *_, layer, kind = name.split(".")
    if part not in PARTS:
        raise ConvlabError(f"{name} is not a tensor of timm's or torchvision's vgg16.")
    return PARTS.index(part), int(layer.removeprefix("fc") or 0), kind == "bias"
