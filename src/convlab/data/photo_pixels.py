"""The pixels of a photo folder as training data."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from convlab.base import provenance
from convlab.base.console import progress, warn
from convlab.base.errors import ConvlabError
from convlab.data import photo_warnings
from convlab.data.augmentation import Affine
from convlab.data.batches import Batches
from convlab.data.decoding import NUM_THREADS, Decoded, ahead, read_pixels
from convlab.data.folds import hold_out
from convlab.data.image_file import UnreadableImage, open_image
from convlab.data.index import Row, data_hash, index
from convlab.data.labelled import LabelledData
from convlab.data.looks import leak, look
from convlab.data.photo_warnings import tell_unused
from convlab.data.photos import Photo, PhotoFolder, scan
from convlab.data.preprocessing import Preprocessing
from convlab.data.splits import SPLITS
from convlab.data.thumbnails import thumbnail

KEPT_BYTES = 2 * 1024**3  # pixels held in memory; photos beyond are decoded again for every batch
DECODED_AHEAD = 64  # photos


class PhotoPixels(LabelledData):
    """Photos n c h w of `<dir>/<class>/`, with the photos, classes and splits of the stage `features`.

    Every photo is decoded once at the start, about 300 a second on two cores: those that can't be are
    reported and left out. Never downloads: `convlab fetch` does.

    Args:
        dir: the photo folder.
        split: shares `val` and `test` of 1 and whether `stratified`, as `splits.assign` takes them.
        preprocessing: the values of a `Preprocessing`.
        per_class: train on so many photos of each class, drawn by `seed`; None: on all.
        seed: decides the order of training batches.
        fold: its `index` and the `count` of folds, for cross-validation: that fold of the training and
            validation photos is "test" then, and the real test photos are read by nothing. None: no folds.
        augmentation: what is done to training photos, for instance `augmentation.Affine`.
    """

    def __init__(
        self,
        dir: str,
        split: dict[str, float],
        preprocessing: Preprocessing | dict[str, Any],
        batch_size: int,
        per_class: int | None = None,
        seed: int = 1,
        fold: dict[str, int] | None = None,
        augmentation: Affine | None = None,
    ) -> None:
        super().__init__()
        if isinstance(preprocessing, dict):
            preprocessing = Preprocessing.from_dict(preprocessing)
        self.dir, self.preprocessing = Path(dir), preprocessing
        self.batch_size, self.seed, self.augmentation = batch_size, seed, augmentation
        self.input_shape = preprocessing.shape
        folder = scan(self.dir)
        for message in photo_warnings.before_reading(folder):
            warn(message)
        self._decoded = _Decoded(folder, preprocessing)
        self._rows = index(folder, self._decoded.failed, split)
        self.classes = sorted({row.class_name for row in self._rows})
        self._divided = folder.divided
        self.leaked = leak(self._rows, self._decoded.looks)
        for message in photo_warnings.after_reading(
            folder, self._decoded.failed, self._decoded.doubtful, self._rows, self.leaked
        ):
            warn(message)
        tell_unused(folder.unused(self._decoded.failed))
        self._splits = {name: [row for row in self._rows if row.split == name] for name in SPLITS}
        for name, rows in self._splits.items():
            if not rows:
                raise ConvlabError(
                    f"{self.dir}: no photo fell into the {name} split. Add photos, or widen data.split."
                )
        if fold:
            self._splits = _folded(self._rows, fold)
        chosen = self._draw(self.labels("train"), per_class)
        self._splits["train"] = [self._splits["train"][int(i)] for i in chosen]

    def batches(self, split: str, shuffle_seed: int | None = None) -> Batches:
        photos = [Photo(row.content_hash, row.class_name, row.path) for row in self._splits[split]]
        inputs = _Photos(self._decoded, photos)
        size, normalize = self.batch_size, self.preprocessing.normalize
        return Batches(inputs, self.labels(split), size, normalize, shuffle_seed, self.augmentation)

    def labels(self, split: str) -> Tensor:
        return torch.tensor([row.label for row in self._splits[split]])

    def image(self, split: str, index: int) -> Image.Image:
        """The whole photograph."""
        return open_image(self.source(split, index))

    def thumbnail(self, split: str, index: int) -> Image.Image:
        return thumbnail(self.source(split, index))

    def source(self, split: str, index: int) -> str:
        """The photograph's path."""
        return str(self.dir / self._splits[split][index].path)

    def lineage(self) -> dict[str, Any]:
        """`data_hash` is that of the features of the same folder."""
        return {
            "data_hash": data_hash(self._rows, self._divided),
            "substitutes": provenance.substitutes(self.dir),
        }


class _Decoded:
    """uint8 c h w of a folder's photos.

    failed, doubtful: content hash -> why a photo could not be decoded, or may not be what it was.
    """

    def __init__(self, folder: PhotoFolder, preprocessing: Preprocessing) -> None:
        self.root, self.preprocessing = folder.root, preprocessing
        self.failed: dict[str, str] = {}
        self.doubtful: dict[str, str] = {}
        self.looks: dict[str, bytes] = {}
        self._kept: dict[str, Tensor] = {}
        by_content = {photo.content_hash: photo for photo in folder.photos}
        with progress("decoding", len(by_content), unit="photos") as advance:
            for photo, found in ahead(self._read, by_content.values(), DECODED_AHEAD):
                try:
                    pixels, doubt = found.result()
                except UnreadableImage as error:
                    self.failed[photo.content_hash] = str(error)
                else:
                    self._keep(photo, torch.from_numpy(pixels))
                    self.looks[photo.content_hash] = look(pixels)
                    if doubt:
                        self.doubtful[photo.content_hash] = doubt
                advance(1)

    def of(self, photo: Photo) -> Tensor:
        kept = self._kept.get(photo.content_hash)
        return torch.from_numpy(self._read(photo).pixels) if kept is None else kept

    def _read(self, photo: Photo) -> Decoded:
        return read_pixels(self.root, photo, self.preprocessing)

    def _keep(self, photo: Photo, pixels: Tensor) -> None:
        if (len(self._kept) + 1) * pixels.nbytes <= KEPT_BYTES:
            self._kept[photo.content_hash] = pixels


class _Photos:
    """The photos of one split, decoded by threads where they are not in memory."""

    def __init__(self, decoded: _Decoded, photos: Sequence[Photo]) -> None:
        self.decoded, self.photos = decoded, photos

    def __getitem__(self, index: Tensor) -> Tensor:
        chosen = [self.photos[i] for i in index.tolist()]
        with ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="decode") as pool:
            return torch.stack(list(pool.map(self.decoded.of, chosen)))


def _folded(rows: list[Row], fold: dict[str, int]) -> dict[str, list[Row]]:
    splits = np.array([row.split for row in rows])
    places = {name: np.flatnonzero(splits == name) for name in SPLITS}
    labels = [row.label for row in rows]
    folded = hold_out(places, [row.content_hash for row in rows], labels, fold)
    return {name: [rows[place] for place in each] for name, each in folded.items()}
