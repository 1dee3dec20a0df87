"""Measure a run directory's model on the test split."""

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.stats import binomtest
from torch import Tensor, nn
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

from convlab.base.console import warn
from convlab.base.files import atomic_file, write_json, writing_to
from convlab.data.batches import Batches
from convlab.data.decoding import ahead
from convlab.data.image_file import UnreadableImage
from convlab.data.labelled import LabelledData
from convlab.figures import plots
from convlab.figures.mistakes import mistakes, worst_mistakes
from convlab.models import saved
from convlab.runs import recorder as recorders
from convlab.runs import test_images
from convlab.runs.run import Run

NUM_BINS = 15  # of confidence, all as wide, in a calibration error
DECODED_AHEAD = 64  # photos


def evaluate(run_dir: Path) -> dict[str, Any]:
    """Write `metrics.json`, `predictions.npz`, `images/`, `confusion.png`, `mistakes.png`.

    Returns the metrics. Raises ConvlabError where they can't be written.
    """
    with writing_to(run_dir):
        return _evaluate(run_dir)


def _evaluate(run_dir: Path) -> dict[str, Any]:
    run = Run(run_dir)
    model, data = run.model_file, run.data_module()
    measured, logits = {}, {}
    for kind in model.weights:
        network = saved.load(run.model_dir, kind)
        logits[kind], labels = predict(network, data.test_dataloader())
        measured[kind] = measure(logits[kind], labels)
    selected = model.selected
    network = saved.load(run.model_dir)
    val_logits, val_labels = predict(network, data.val_dataloader())
    metrics = {
        "name": run.name,
        "model": model.network_name,
        "data": _data_name(run.config["data"]),
        "weights": selected,
        "num_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "test": measured[selected],
        **({"test_raw": measured["raw"]} if selected != "raw" else {}),
        "val": {**measure(val_logits, val_labels), "epoch": model.epoch},
        "per_class": _per_class(logits[selected], labels, data.classes),
        "lineage": model.lineage | {"weights_hash": model.weights_hash},
        **({"leak": data.leaked._asdict()} if data.leaked else {}),
    }
    probabilities = logits[selected].softmax(1)
    packed = io.BytesIO()  # written at once: half a zip file complains once more when it is collected
    np.savez_compressed(packed, labels=labels.numpy(), probabilities=probabilities.numpy())
    with atomic_file(run_dir / "predictions.npz") as file:
        file.write(packed.getbuffer())
    _draw(run_dir, data, probabilities, labels)
    _keep_images(run_dir, data, len(labels))
    write_json(run_dir / "metrics.json", metrics)
    recorders.of(run.config["logger"]).measured(run, metrics)
    return metrics


@torch.no_grad()
def predict(network: nn.Module, batches: Batches) -> tuple[Tensor, Tensor]:
    """Logits n k and labels n of a whole loader, on the fastest device there is."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    parts = [(network(inputs.to(device)).cpu(), labels) for inputs, labels in batches]
    logits, labels = zip(*parts, strict=True)
    return torch.cat(logits), torch.cat(labels)


def measure(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy with its 95 % Wilson interval, mean cross-entropy, and expected calibration error.

    The interval says how far a test set of this size lets the accuracy be known; the calibration error
    (15 equal bins, l1; Guo et al. 2017) by how much confidence differs from accuracy.
    """
    num_classes = logits.shape[1]
    right = int((logits.argmax(1) == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
    ece = multiclass_calibration_error(logits.softmax(1), labels, num_classes, n_bins=NUM_BINS)
    return {
        "num_images": len(labels),
        "acc": right / len(labels),
        "acc_low": float(interval.low),
        "acc_high": float(interval.high),
        "loss": float(nn.functional.cross_entropy(logits, labels)),
        "ece": float(ece),
    }


def _data_name(data: dict[str, Any]) -> str:
    """A fold is a data set of its own: its result must not be ranked beside those of the test images."""
    fold = data["module"].get("fold")
    return f"{data['name']}, fold {fold['index']} of {fold['count']}" if fold else str(data["name"])


def _per_class(logits: Tensor, labels: Tensor, classes: list[str]) -> dict[str, dict[str, float]]:
    accuracy = multiclass_accuracy(logits, labels, len(classes), average=None)
    counts = labels.bincount(minlength=len(classes))
    return {name: {"acc": float(accuracy[i]), "num_images": int(counts[i])} for i, name in enumerate(classes)}


def _image(data: LabelledData, index: int) -> Image.Image:
    """The picture of a mistake; a grey one where its file is gone, which the figures don't depend on."""
    try:
        return data.image("test", index)
    except UnreadableImage as error:
        warn(f"a mistake can't be shown: {error}")
        return Image.new("L", (64, 64), "grey")


def _keep_images(run_dir: Path, data: LabelledData, num_images: int) -> None:
    """Where each test image lies, and its thumbnail: a deleted photo has none."""
    gone = []

    def found() -> Iterator[Image.Image | None]:
        for _, thumbnail in ahead(partial(data.thumbnail, "test"), range(num_images), DECODED_AHEAD):
            try:
                yield thumbnail.result()
            except UnreadableImage as error:
                gone.append(error)
                yield None

    sources = (data.source("test", index) for index in range(num_images))
    test_images.write(run_dir, sources, found())
    if gone:
        warn(f"{len(gone):,} of {num_images:,} test images can't be shown. The first: {gone[0]}")


def _draw(run_dir: Path, data: LabelledData, probabilities: Tensor, labels: Tensor) -> None:
    matrix = multiclass_confusion_matrix(probabilities, labels, len(data.classes))
    plots.confusion_matrix(matrix.numpy(), data.classes).savefig(run_dir / "confusion.png")
    worst = worst_mistakes(labels.numpy(), probabilities.numpy())
    images = [_image(data, int(index)) for index in worst]
    gallery = mistakes(images, labels[worst].numpy(), probabilities[worst].numpy(), data.classes)
    gallery.savefig(run_dir / "mistakes.png")
