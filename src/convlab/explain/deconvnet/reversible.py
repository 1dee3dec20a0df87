"""Layers that the deconvolutional network can go back through, and a forward pass that remembers how."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet.unpooling import avg_unpool, max_pool, max_unpool, real_pixels
from convlab.explain.deconvnet.windows import Pair, Windows


class Step(NamedTuple):
    """What a layer made of its input, and the way back for a map of the same shape.

    windows: how it reads its input; None where each value is treated by itself.
    """

    output: torch.Tensor
    back: Callable[[torch.Tensor], torch.Tensor]
    windows: Windows | None = None


def forward(network: nn.Sequential, images: torch.Tensor, layer: str) -> list[Step]:
    """One step a layer, from images n c h w up to and with `layer`, as in evaluation.

    Raises ConvlabError, with the layer's name, for one that is not there or not known here.
    """
    children = dict(network.named_children())
    if layer not in children:
        raise ConvlabError(f"no layer is called {layer!r}; the network has {', '.join(children)}.")
    if images.ndim != 4:
        raise ConvlabError(f"expected images n c h w; found the shape {tuple(images.shape)}.")
    steps: list[Step] = []
    for name, module in children.items():
        step = STEPS.get(type(module))  # a subclass may compute something else
        if step is None:
            known = ", ".join(kind.__name__ for kind in STEPS)
            raise ConvlabError(
                f"{name}: the deconvolutional network knows no way back through {type(module).__name__}, "
                f"only through {known}. Choose a layer before it."
            )
        try:
            steps.append(step(module, steps[-1].output if steps else images))
        except ConvlabError as error:
            raise ConvlabError(f"{name}: {error}") from None
        if name == layer:
            break
    return steps


def _convolution(layer: nn.Conv2d, images: torch.Tensor) -> Step:
    """Back: the transposed convolution, without the bias."""
    if layer.padding_mode != "zeros":
        raise ConvlabError(f"padding_mode is {layer.padding_mode!r}; only zeros can be gone back through.")
    if images.shape[1] != layer.in_channels:
        raise ConvlabError(f"expected {layer.in_channels} channels; found images of {tuple(images.shape)}.")
    padding: Any = layer.padding.upper() if isinstance(layer.padding, str) else layer.padding
    stride, dilation, groups = _pair(layer.stride), _pair(layer.dilation), layer.groups
    windows = Windows.over(_size(images), _pair(layer.kernel_size), stride, padding, dilation)
    output = functional.conv2d(windows.pad(images), layer.weight, layer.bias, stride, 0, dilation, groups)

    def back(value: torch.Tensor) -> torch.Tensor:
        return windows.unpad(
            functional.conv_transpose2d(value, layer.weight, None, stride, 0, 0, groups, dilation)
        )

    return Step(output, back, windows)


def _relu(_: nn.ReLU, images: torch.Tensor) -> Step:
    """Back: what is positive on the way back, whatever was positive on the way here."""
    return Step(functional.relu(images), functional.relu)


def _max_pool(layer: nn.MaxPool2d, images: torch.Tensor) -> Step:
    """Back: to where the maxima were."""
    windows = _pooled(layer, images, _pair(layer.dilation))
    output, switches = max_pool(images, windows)
    return Step(output, lambda value: max_unpool(value, switches, windows), windows)


def _avg_pool(layer: nn.AvgPool2d, images: torch.Tensor) -> Step:
    """Back: in equal shares to the window. What divides a window's sum, the layer itself is asked for."""
    windows = _pooled(layer, images)
    counts = real_pixels(windows).to(images) / layer(images.new_ones(1, 1, *windows.size))[0, 0]
    return Step(layer(images), lambda value: avg_unpool(value, windows, counts), windows)


def _dropout(_: nn.Dropout, images: torch.Tensor) -> Step:
    """Passes everything, in training too: a projection is made of the trained network."""
    return Step(images, lambda value: value)


STEPS: dict[type[nn.Module], Callable[[Any, torch.Tensor], Step]] = {
    nn.Conv2d: _convolution,
    nn.ReLU: _relu,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.Dropout: _dropout,
}


def _pooled(layer: nn.MaxPool2d | nn.AvgPool2d, images: torch.Tensor, dilation: Pair = (1, 1)) -> Windows:
    kernel, stride, padding = (_pair(size) for size in (layer.kernel_size, layer.stride, layer.padding))
    return Windows.over(
        _size(images), kernel, stride, padding, dilation, rounding="ceil" if layer.ceil_mode else "floor"
    )


def _size(images: torch.Tensor) -> Pair:
    return images.shape[2], images.shape[3]


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
