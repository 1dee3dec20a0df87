"""Which layers, and which of their maps, are shown."""

from typing import Any

from torch import nn

from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet.closeups import reversible_layers
from convlab.explain.deconvnet.strongest import Strongest, choose

NO_RELU = (
    "it has no ReLU. The deconvolutional network rectifies on the way back what the network rectified on the "
    "way up; without ReLU it is not defined. Filters, activations and occlusion do without it (layer=all)."
)


def check_network(network: nn.Module) -> nn.Sequential:
    """`network`, if there are maps in it to look at; ConvlabError if not."""
    name = type(network).__name__
    if not any(isinstance(layer, nn.Conv2d) for layer in network.modules()):
        raise ConvlabError(
            f"{name} has no convolution: it has no feature maps to look at, and each of its units sees the "
            "whole image. Choose a convolutional network, such as experiment=lenet."
        )
    if not isinstance(network, nn.Sequential):
        raise ConvlabError(f"{name} is not a chain of layers (nn.Sequential): there is no single way back.")
    return network


def projected_layers(network: nn.Sequential, layer: str) -> tuple[list[str], str]:
    """The layers to go back from (`layer`, or "all"), and the reason if there are none.

    Raises ConvlabError for a layer that is not there or that there is no way back from.
    """
    name, names = type(network).__name__, [name for name, _ in network.named_children()]
    reason = "" if any(isinstance(each, nn.ReLU) for each in network.modules()) else NO_RELU
    ways = [] if reason else reversible_layers(network)
    if layer == "all":
        return ways, reason
    if layer not in names:
        raise ConvlabError(
            f"layer={layer}: {name} has no such layer. Choose all, {', '.join(ways or names)}."
        )
    if reason:
        raise ConvlabError(f"layer={layer}: there is no way back through {name}: {reason}")
    if layer not in ways:
        kind = type(getattr(network, layer)).__name__
        raise ConvlabError(
            f"layer={layer}: there is no way back from a {kind}. Choose all, {', '.join(ways)}."
        )
    return [layer], ""


def check_maps(maps: Any, num_maps: dict[str, int]) -> None:
    """Raise ConvlabError unless `maps` is a number above 0, "all", or a list with a map of each layer.

    num_maps: of each layer that is shown, by name.
    """
    if maps == "all" or (isinstance(maps, int) and maps > 0):
        return
    if (
        not isinstance(maps, list)
        or not maps
        or not all(isinstance(each, int) and each >= 0 for each in maps)
    ):
        raise ConvlabError(f"maps={maps}: expected a number above 0, a list such as [0,5,12], or all.")
    for layer, count in num_maps.items():
        if min(maps) >= count:
            raise ConvlabError(f"maps={maps}: {layer} has maps 0 to {count - 1}.")


def chosen_maps(best: Strongest, maps: Any) -> list[int]:
    """The maps of a layer to show, in ascending order: those of a list that it has, or the strongest."""
    num_maps = len(best.activations)
    if isinstance(maps, int):
        return choose(best, maps)
    return (
        sorted({each for each in maps if each < num_maps})
        if isinstance(maps, list)
        else list(range(num_maps))
    )
