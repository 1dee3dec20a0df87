"""Draw which pixels the decisions of a network on a backbone rest on."""

from typing import Any

import torch
from PIL import Image
from torch import nn

from convlab.base.console import progress, warn
from convlab.base.errors import ConvlabError
from convlab.data.labelled import LabelledData
from convlab.data.splits import SPLITS
from convlab.explain.attribution import grad_cam, guided_grad_cam, integrated_gradients, last_maps
from convlab.explain.pictures import Pictures, rounded
from convlab.figures import attribution as figures
from convlab.figures.mistakes import worst_mistakes
from convlab.models import saved
from convlab.prediction import network_predictor
from convlab.runs.run import Run
from convlab.training.evaluation import predict

GAP = 0.1  # of the largest rise: more is reported


def draw_attribution(run: Run, settings: dict[str, Any]) -> Pictures:
    """Which pixels of photos the run's network went by: `attribution.png`.

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
    figure = figures.attribution([row for row, _ in explained], title)
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
    return pictures


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
) -> tuple[figures.Explained, dict[str, Any]]:
    """A row of the figure, and its numbers. What is explained is the class that the network chose."""
    pixels = data.preprocessing.pixels(photo)[None]
    images, black = (data.preprocessing.normalize(each) for each in (pixels, torch.zeros_like(pixels)))
    with torch.no_grad():
        logits, black_logits = network(images), network(black)
    target = logits.argmax(1)
    shares = integrated_gradients(network, images, target, black, steps)
    choice, probability = int(target), float(logits.softmax(1).max())
    row = figures.Explained(
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
