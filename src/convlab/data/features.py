"""Cached bottleneck vectors as training data."""

import csv
import json
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np
import torch
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.data.batches import EVALUATION_BATCH, Batches
from convlab.data.folds import hold_out
from convlab.data.image_file import UnreadableImage, open_image
from convlab.data.labelled import LabelledData
from convlab.data.looks import Leak
from convlab.data.preprocessing import Preprocessing
from convlab.data.store_folder import StoreFolder, photo_root
from convlab.data.thumbnails import thumbnail


class CachedFeatures(LabelledData):
    """Vectors n d that the stage `features` wrote, split by the content of their images.

    `vectors.npy` is memory-mapped: a batch reads its own rows, whatever the size of the set.

    Args:
        dir: the directory that `convlab features` wrote.
        photos_dir: the photo folder, for showing pictures; training does not read it.
        per_class: train on so many images of each class, drawn by `seed`; None: on all.
        seed: decides the order of training batches.
        fold: its `index` and the `count` of folds, for cross-validation: that fold of the training and
            validation photos is "test" then, and the real test photos are read by nothing. None: no folds.
    """

    def __init__(
        self,
        dir: str,
        photos_dir: str,
        batch_size: int,
        per_class: int | None = None,
        seed: int = 1,
        fold: dict[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.dir, self.photos_dir = Path(dir), photo_root(photos_dir)
        self.batch_size, self.seed = batch_size, seed
        if not (self.dir / "meta.json").is_file():
            raise ConvlabError(
                f"{self.dir} holds no features. `convlab features` (or `dvc repro`) computes them."
            )
        self.meta = json.loads((self.dir / "meta.json").read_text())
        self.classes: list[str] = self.meta["classes"]
        if found := self.meta.get("leak"):
            self.leaked = Leak(found["number"], tuple(found["example"]))
        self.preprocessing = Preprocessing.from_dict(self.meta["preprocessing"])
        self.vectors = np.load(self.dir / "vectors.npy", mmap_mode="r")
        self.input_shape = (int(self.vectors.shape[1]),)
        contents, self._paths, labels, splits = read_index(self.dir / "index.csv")
        self._labels = torch.tensor(labels)
        self._rows = {split: np.flatnonzero(np.array(splits) == split) for split in ("train", "val", "test")}
        for split, rows in self._rows.items():
            if not len(rows):
                raise ConvlabError(
                    f"{self.dir}: no image fell into the {split} split. Add images, or widen its ratio."
                )
        if fold:
            self._rows = hold_out(self._rows, contents, labels, fold)
        self._rows["train"] = self._rows["train"][self._draw(self.labels("train"), per_class).numpy()]

    def batches(self, split: str, shuffle_seed: int | None = None) -> Batches:
        rows = _Rows(self.vectors, self._rows[split])
        size = self.batch_size if split == "train" else EVALUATION_BATCH
        return Batches(rows, self.labels(split), size, shuffle_seed=shuffle_seed)

    def labels(self, split: str) -> torch.Tensor:
        return self._labels[torch.from_numpy(self._rows[split])]

    def image(self, split: str, index: int) -> Image.Image:
        """The photograph behind a vector."""
        return open_image(self._photo(split, index))

    def thumbnail(self, split: str, index: int) -> Image.Image:
        return thumbnail(self._photo(split, index))

    def source(self, split: str, index: int) -> str:
        """The photograph's path, or its address in a store."""
        return f"{self.photos_dir}/{self._path(split, index)}"

    def _path(self, split: str, index: int) -> str:
        return str(self._paths[self._rows[split][index]])

    def _photo(self, split: str, index: int) -> str | bytes:
        """What `open_image` takes."""
        if isinstance(self.photos_dir, StoreFolder):
            try:
                return (self.photos_dir / self._path(split, index)).read_bytes()
            except OSError as error:
                raise UnreadableImage(str(error)) from None
        return self.source(split, index)

    def lineage(self) -> dict[str, Any]:
        """What the stage `features` noted; `backbone_hash` is that of the backbone's weights."""
        return {key: self.meta[key] for key in ("data_hash", "substitutes")} | {
            "backbone_hash": self.meta["backbone"]["weights_hash"]
        }


def read_index(path: Path) -> tuple[list[str], list[str], list[int], list[str]]:
    """Content hashes, paths, labels and splits of index.csv."""
    contents, paths, labels, splits = [], [], [], []
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        columns = next(lines)
        wanted = itemgetter(*map(columns.index, ("content_hash", "path", "label", "split")))
        for line in lines:
            content, photo, label, split = wanted(line)
            contents.append(content)
            paths.append(photo)
            labels.append(int(label))
            splits.append(intern(split))
    return contents, paths, labels, splits


class _Rows:
    """The rows of one split inside the memory-mapped vectors, read batch by batch."""

    def __init__(self, vectors: np.ndarray, rows: np.ndarray) -> None:
        self.vectors, self.rows = vectors, rows

    def __getitem__(self, index: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.vectors[self.rows[index.numpy()]])
