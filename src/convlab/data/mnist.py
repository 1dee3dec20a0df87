"""MNIST, or any pair of IDX archives in its layout, as in-memory tensors."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.model_selection import train_test_split

from convlab.base import provenance
from convlab.base.errors import ConvlabError
from convlab.data import idx
from convlab.data.augmentation import Affine
from convlab.data.batches import EVALUATION_BATCH, Batches
from convlab.data.folds import hold_out
from convlab.data.labelled import LabelledData
from convlab.data.preprocessing import Preprocessing

FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


class Mnist(LabelledData):
    """Digits n 1 28 28: training, validation held out of the training files, and the official test files.

    The validation images are a stratified draw that depends on `split_seed` alone, so runs of different
    training seeds are compared on the same images. The test files are only read by `test_dataloader`,
    `labels("test")` and `image("test", i)`. Never downloads: `convlab fetch mnist` does.

    Args:
        dir: holds the four gzipped IDX files, and `provenance.json` if they were fetched.
        num_val: training images held out for validation.
        per_class: train on so many images of each digit, drawn by `seed`; None: on all.
        seed: decides the order of training batches.
        augmentation: what is done to training images, for instance `augmentation.Affine`.
        fold: its `index` and the `count` of folds, for cross-validation: that fold of the training and
            validation images is "test" then, and the real test images are read by nothing. None: no folds.
    """

    def __init__(
        self,
        dir: str,
        preprocessing: Preprocessing,
        batch_size: int,
        num_val: int = 5000,
        split_seed: int = 0,
        per_class: int | None = None,
        seed: int = 1,
        augmentation: Affine | None = None,
        fold: dict[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.dir, self.preprocessing, self.batch_size = Path(dir), preprocessing, batch_size
        self.num_val, self.split_seed = num_val, split_seed
        self.per_class, self.seed, self.augmentation, self.fold = per_class, seed, augmentation, fold
        self.classes = [str(digit) for digit in range(10)]
        self.input_shape = preprocessing.shape
        self._splits: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self._rows: dict[str, np.ndarray] = {}  # of the training files, in train, val and a fold

    def batches(self, split: str, shuffle_seed: int | None = None) -> Batches:
        images, labels = self._split(split)
        size = self.batch_size if split == "train" else EVALUATION_BATCH
        return Batches(images, labels, size, self.preprocessing.normalize, shuffle_seed, self.augmentation)

    def labels(self, split: str) -> torch.Tensor:
        return self._split(split)[1]

    def image(self, split: str, index: int) -> Image.Image:
        """The digit as a greyscale picture."""
        return Image.fromarray(self._split(split)[0][index, 0].numpy())

    def source(self, split: str, index: int) -> str:
        """Its file, and its place there: from 0, as programs count."""
        self._split(split)  # finds the rows
        file = FILES["test" if split == "test" and self.fold is None else "train"][0]
        row = self._rows[split][index] if split in self._rows else index
        return f"{self.dir / file}, image {row:,}"

    def lineage(self) -> dict[str, Any]:
        """`data_hash` over the four files, and the substitutes that were fetched in place of originals."""
        hashes = {
            name: hashlib.sha256(idx.read_bytes(self.dir / name)).hexdigest()
            for names in FILES.values()
            for name in names
        }
        digest = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
        return {"data_hash": digest, "substitutes": provenance.substitutes(self.dir)}

    def _split(self, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        if split not in self._splits:
            official = split == "test" and self.fold is None
            images, labels = self._read("test" if official else "train")
            if official:
                self._splits["test"] = (images, labels)
            else:
                self._hold_out(images, labels)
        return self._splits[split]

    def _read(self, part: str) -> tuple[torch.Tensor, torch.Tensor]:
        images_name, labels_name = FILES[part]
        images = idx.read(self.dir / images_name, idx.IMAGES_MAGIC)
        labels = idx.read(self.dir / labels_name, idx.LABELS_MAGIC)
        if len(images) != len(labels):
            raise ConvlabError(
                f"{self.dir / images_name} holds {len(images)} images, {labels_name} {len(labels)} labels."
            )
        return torch.from_numpy(images.copy())[:, None], torch.from_numpy(labels.astype(np.int64))

    def _hold_out(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        if not 0 < self.num_val < len(images):
            raise ConvlabError(f"data.module.num_val={self.num_val}: choose 1 to {len(images) - 1}.")
        if not 0 <= self.split_seed < 2**32:
            raise ConvlabError(f"data.module.split_seed={self.split_seed}: choose 0 to {2**32 - 1}.")
        kept, held = train_test_split(
            np.arange(len(images)), test_size=self.num_val, random_state=self.split_seed, stratify=labels
        )
        rows = {"train": np.sort(kept), "val": np.sort(held)}
        if self.fold:
            contents = [hashlib.sha256(image).hexdigest() for image in images.numpy()]
            rows = hold_out(rows, contents, labels.tolist(), self.fold)
        rows["train"] = rows["train"][self._draw(labels[rows["train"]], self.per_class).numpy()]
        self._rows |= rows
        self._splits |= {split: (images[each], labels[each]) for split, each in rows.items()}
