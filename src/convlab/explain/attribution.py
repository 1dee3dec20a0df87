"""Which pixels a decision rests on, for networks with branches as well: three methods, and a run's pictures.

Integrated gradients, Grad-CAM and guided Grad-CAM by captum. They need a gradient only, so concatenations,
average pooling and batch norm are as good as a chain. All explain a logit, the score before softmax.
"""

import copy
import warnings
from typing import Any

import torch
from captum.attr import GuidedBackprop, IntegratedGradients, LayerAttribution, LayerGradCam
from PIL import Image
from torch import Tensor, nn

from convlab.base.console import console, progress, warn
from convlab.base.errors import ConvlabError
from convlab.data.labelled import LabelledData
from convlab.data.photos import SPLITS
from convlab.explain.pictures import Pictures, log, rounded
from convlab.figures import attribution as attribution_figure
from convlab.figures.plots import worst_mistakes
from convlab.models import saved
from convlab.models.finetuned import parts_in_order
from convlab.prediction import network_predictor
from convlab.runs.run import Run
from convlab.training.evaluation import predict

GAP = 0.1  # of the largest rise: more is reported
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
    return LayerAttribution.interpolate(coarse.detach(), size, interpolate_mode="bilinear")


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
        return GuidedBackprop(_explainable(network)).attribute(_asking(images), targets).detach()


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


def visualize_attribution(run: Run, settings: dict[str, Any]) -> None:
    """Write `visualize/attribution.png` and `visualize.json` of a run, and add them to its MLflow record.

    settings: of conf/visualize.yaml `split`, and `attribution` with `images` (the first of so many classes;
    the network's worst mistake comes above) and `steps` of the integrated gradients.
    """
    options = settings["attribution"]
    data = run.data_module()
    if settings["split"] not in SPLITS:
        raise ConvlabError(f"split={settings['split']}: choose {', '.join(SPLITS)}.")
    logits, labels = predict(saved.load(run.model_dir), data.batches(settings["split"]))
    network = network_predictor.of_run(run).network
    chosen = _chosen(logits.softmax(1).numpy(), labels.numpy(), options["images"])
    explained = []
    with progress("attribution", len(chosen)) as advance:
        for index in chosen:
            image = data.image(settings["split"], index)
            explained.append(_explain(network, data, image, int(labels[index]), options["steps"]))
            advance(1)
    _warn_of_few_steps([numbers for _, numbers in explained], options["steps"])
    pictures, model = Pictures(), run.model_file
    title = f"{run.name}: where the decision comes from ({settings['split']} photos)"
    figure = attribution_figure.attribution([row for row, _ in explained], title)
    pictures.add("attribution.png", figure, "What decided: Grad-CAM, guided Grad-CAM, integrated gradients")
    pictures.record |= {
        "network": model.network_name,
        "split": settings["split"],
        "num_images": len(labels),
        "attribution": {
            "layer": last_maps(network),
            "steps": options["steps"],
            "images": [
                {"image": index} | numbers for index, (_, numbers) in zip(chosen, explained, strict=True)
            ],
        },
        "data": run.config["data"]["name"],
        "weights": model.weights_hash,
    }
    directory = run.directory / "visualize"
    pictures.write(directory)
    log(run, directory)
    console.print(f"{directory}: attribution.png", markup=False)


def _warn_of_few_steps(explained: list[dict[str, Any]], steps: int) -> None:
    """Completeness is what integrated gradients are trusted for: say where it is missed."""
    gaps = [abs(each["sum_of_integrated_gradients"] - each["rise_over_black"]) for each in explained]
    largest = max(abs(each["rise_over_black"]) for each in explained)
    if max(gaps) > GAP * largest:
        warn(
            f"a photo's integrated gradients miss the logit's rise by {max(gaps):.2g}. More points come "
            f"closer: attribution.steps={2 * steps}. visualize.json has both numbers of each photo."
        )


def _chosen(probabilities: Any, labels: Any, num_classes: int) -> list[int]:
    """Indices: the worst mistake, then the first image of each class."""
    first = [int((labels == label).argmax()) for label in sorted(set(labels.tolist()))[:num_classes]]
    worst = [int(index) for index in worst_mistakes(labels, probabilities, 1)]
    return worst + [index for index in first if index not in worst]


def _explain(
    network: nn.Module, data: LabelledData, photo: Image.Image, label: int, steps: int
) -> tuple[attribution_figure.Explained, dict[str, Any]]:
    """A row of the figure, and its numbers. What is explained is the class that the network chose."""
    pixels = data.preprocessing.pixels(photo)[None]
    images, black = (data.preprocessing.normalize(each) for each in (pixels, torch.zeros_like(pixels)))
    with torch.no_grad():
        logits, black_logits = network(images), network(black)
    target = logits.argmax(1)
    shares = integrated_gradients(network, images, target, black, steps)
    choice, probability = int(target), float(logits.softmax(1).max())
    row = attribution_figure.Explained(
        pixels[0].numpy(),
        grad_cam(network, images, target)[0, 0].numpy(),
        guided_grad_cam(network, images, target)[0].numpy(),
        shares[0].numpy(),
        data.classes[label],
        data.classes[choice],
        probability,
    )
    rise = float(logits[0, choice] - black_logits[0, choice])
    numbers = {"rise_over_black": rise, "sum_of_integrated_gradients": float(shares.sum())}
    return row, {
        "class": data.classes[label],
        "choice": data.classes[choice],
        **{name: rounded(value) for name, value in {"probability": probability, **numbers}.items()},
    }
