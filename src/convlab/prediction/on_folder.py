"""A trained model on labelled photos from anywhere, with the figures that its test split has."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convlab.base.console import progress
from convlab.base.errors import ConvlabError
from convlab.base.files import atomic_file, write_json
from convlab.data import photos
from convlab.data.decoding import NUM_THREADS, ahead
from convlab.data.features import read_index
from convlab.data.image_file import UnreadableImage
from convlab.data.index import Row, data_hash, index
from convlab.data.photos import Photo
from convlab.data.thumbnails import thumbnail
from convlab.figures import plots
from convlab.models import saved
from convlab.prediction import network_predictor
from convlab.prediction.predictor import BATCH_SIZE
from convlab.runs import test_images
from convlab.runs.run import Run
from convlab.training.evaluation import measure

TINY = 1e-30  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class Scored:
    """What was found. photos: those that were scored, with their `labels` n and `probabilities` n k.

    unusable: path -> why. unknown: class folder that the model has no class for -> number of its photos.
    seen: "train" or "val" -> how many of the scored photos the run had in that split.
    """

    classes: list[str]
    photos: list[Photo]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    unusable: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts k k, row: true class, column: predicted."""
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (self.labels, self.probabilities.argmax(axis=1)), 1)
        return counts

    def measured(self) -> dict[str, float]:
        """As `evaluation.measure` has it of logits: softmax takes the logarithm of a probability back."""
        logits = torch.from_numpy(np.log(np.maximum(self.probabilities, TINY)))
        return measure(logits, torch.from_numpy(self.labels))

    def by_class(self) -> dict[str, dict[str, Any]]:
        """Number of images and accuracy of each class; None where the folder has no image of it."""
        counts = self.confusion
        images, right = counts.sum(axis=1), counts.diagonal()
        return {
            name: {"acc": float(right[k] / images[k]) if images[k] else None, "num_images": int(images[k])}
            for k, name in enumerate(self.classes)
        }


def score(run: Run, folder: Path) -> Scored:
    """The answers of `run`'s model to the photos in `folder`, one sub-folder per class.

    Raises ConvlabError if none of them is of a class that the model knows.
    """
    predictor = network_predictor.of_run(run)
    classes = list(predictor.classes)
    found = photos.scan(folder, fewest_classes=1)
    known = [photo for photo in found.photos if photo.class_name in classes]
    unknown = Counter(photo.class_name for photo in found.photos if photo.class_name not in classes)
    if not known:
        raise ConvlabError(
            f"{folder}: none of its folders is one of {run.name}'s classes, {', '.join(classes)}. It has "
            f"{', '.join(sorted(unknown)) or 'no photos'}."
        )
    scored, rows, failed = [], [], {}

    def pixels(photo: Photo) -> NDArray[np.uint8]:
        return predictor.pixels((folder / photo.path).read_bytes())

    batch: list[NDArray[np.uint8]] = []
    with progress("predicting", len(known), unit="photos") as advance:
        for photo, image in ahead(pixels, known, NUM_THREADS * BATCH_SIZE):
            try:
                batch.append(image.result())
                scored.append(photo)
            except (UnreadableImage, OSError) as error:
                failed[photo.content_hash] = str(error)
            if len(batch) == BATCH_SIZE:
                rows.append(predictor.probabilities(np.stack(batch)))
                batch.clear()
            advance(1)
    if batch:
        rows.append(predictor.probabilities(np.stack(batch)))
    if not scored:
        path, why = next(iter(found.unused(failed).items()))
        raise ConvlabError(f"{folder}: none of its photos can be read. The first, {path}: {why}.")
    learnt = contents(run)
    seen = Counter(learnt[photo.content_hash] for photo in scored if photo.content_hash in learnt)
    return Scored(
        classes,
        scored,
        np.array([classes.index(photo.class_name) for photo in scored]),
        np.concatenate(rows),
        found.unused(failed),
        dict(sorted(unknown.items())),
        {split: seen[split] for split in ("train", "val") if seen[split]},
    )


def contents(run: Run) -> dict[str, str]:
    """sha256 of a photo's file -> the split that `run` had it in; {} where it is of no photos."""
    module = run.config.get("data", {}).get("module", {})
    features = Path(str(module.get("dir"))) / "index.csv"
    if features.is_file():
        hashes, _, _, splits = read_index(features)
        return dict(zip(hashes, splits, strict=True))
    if "split" in module and Path(module["dir"]).is_dir():
        rows: list[Row] = index(photos.scan(Path(module["dir"])), {}, module["split"])
        return {row.content_hash: row.split for row in rows}
    return {}


def write(run: Run, folder: Path, scored: Scored, out: Path) -> dict[str, Any]:
    """Write metrics.json, predictions.npz, images/ and confusion.png to `out`, as `evaluate` does.

    `convlab compare` reads them as a run on a data set that is called as the folder.
    """
    model = run.model_file
    network = saved.load(run.model_dir)
    rows = [
        Row(photo.content_hash, photo.path, photo.class_name, int(label), "test")
        for photo, label in zip(scored.photos, scored.labels, strict=True)
    ]
    metrics = {
        "name": run.name,
        "model": model.network_name,
        "data": f"{folder.resolve().name}, a folder",
        "weights": model.selected,
        "num_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "test": scored.measured(),
        "per_class": scored.by_class(),
        "lineage": {
            **model.lineage,
            "data_hash": data_hash(rows),
            "weights_hash": model.weights_hash,
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    with atomic_file(out / "predictions.npz") as file:
        np.savez_compressed(file, labels=scored.labels, probabilities=scored.probabilities)
    files = [folder / photo.path for photo in scored.photos]
    small = (found.result() for _, found in ahead(thumbnail, files, NUM_THREADS * BATCH_SIZE))
    test_images.write(out, map(str, files), small)
    plots.confusion_matrix(scored.confusion, scored.classes).savefig(out / "confusion.png")
    write_json(out / "metrics.json", metrics)
    return metrics
