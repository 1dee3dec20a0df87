"""Which pixels a decision rests on, for networks with branches as well: three methods.

Integrated gradients, Grad-CAM and guided Grad-CAM by captum. They need a gradient only, so concatenations,
average pooling and batch norm are as good as a chain. All explain a logit, the score before softmax.
"""

import copy
import warnings

import torch
from captum.attr import GuidedBackprop, IntegratedGradients, LayerAttribution, LayerGradCam
from torch import Tensor, nn

from convlab.base.errors import ConvlabError
from convlab.models.finetuned import parts_in_order

AT_ONCE = 8  # points of a path that run through the network together


def integrated_gradients(
    network: nn.Module, images: Tensor, targets: Tensor, baselines: Tensor, steps: int = 64
) -> Tensor:
    """n c h w: each value's share in the rise of its image's logit over that of the baseline.

    The gradient along the straight line from baseline to image, times their difference, integrated at
    `steps` points (Gauss-Legendre). The sum over an image is that rise, up to the error of so few points.
    Source: Sundararajan, Taly, Yan (2017), "Axiomatic attribution for deep networks".
    """
    method = IntegratedGradients(_explainable(network))
    parts = [
        method.attribute(image[None], baseline[None], int(target), n_steps=steps, internal_batch_size=AT_ONCE)
        for image, baseline, target in zip(images, baselines, targets, strict=True)
    ]
    return torch.cat(parts).detach().float()


def grad_cam(network: nn.Module, images: Tensor, targets: Tensor, layer: str | None = None) -> Tensor:
    """n 1 h w, nowhere negative: where in the images the maps of `layer` speak for the target.

    The maps, each weighted by the mean of the logit's gradient over it, summed, rectified, and enlarged to
    the images. `layer` is a module's path; None takes `last_maps`. Source: Selvaraju et al. (2017),
    "Grad-CAM: visual explanations from deep networks via gradient-based localization".
    """
    network = _explainable(network)
    maps = network.get_submodule(layer or last_maps(network))
    coarse = LayerGradCam(network, maps).attribute(_asking(images), targets, relu_attributions=True)
    size = (images.shape[2], images.shape[3])
    fine: Tensor = LayerAttribution.interpolate(coarse.detach(), size, interpolate_mode="bilinear")
    return fine


def guided_grad_cam(network: nn.Module, images: Tensor, targets: Tensor, layer: str | None = None) -> Tensor:
    """n c h w: guided backpropagation, as fine as the pixels, where Grad-CAM finds the target.

    Guided backpropagation (Springenberg et al. 2015) stops a gradient at a ReLU where it, or the ReLU's
    input, is negative. Raises ConvlabError for a network without ReLU modules, to which it does not apply.
    """
    return grad_cam(network, images, targets, layer) * _guided(network, images, targets)


def last_maps(network: nn.Module) -> str:
    """The path of the last part of a network, or of its `backbone`, with a convolution in it."""
    backbone = getattr(network, "backbone", network)
    parts = [
        name
        for name in parts_in_order(backbone)
        if any(isinstance(layer, nn.Conv2d) for layer in backbone.get_submodule(name).modules())
    ]
    if not parts:
        raise ConvlabError(f"{type(network).__name__} has no convolution, so no maps for Grad-CAM to weigh.")
    return parts[-1] if backbone is network else f"backbone.{parts[-1]}"


def _guided(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    if not any(isinstance(layer, nn.ReLU) for layer in network.modules()):
        raise ConvlabError(f"guided backpropagation is about ReLU, and {type(network).__name__} has none.")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        found: Tensor = GuidedBackprop(_explainable(network)).attribute(_asking(images), targets)
    return found.detach()


def _explainable(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode where no layer writes over its input: captum's hooks ask for that."""
    network = copy.deepcopy(network).eval()
    for layer in network.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False  # type: ignore[assignment]
    return network


def _asking(images: Tensor) -> Tensor:
    """The same images, with a gradient of their own."""
    return images.detach().clone().requires_grad_()
