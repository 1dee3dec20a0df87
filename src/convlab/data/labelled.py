"""What every data set offers, whatever its inputs are."""

from abc import ABC, abstractmethod
from typing import Any

import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor

from convlab.base.errors import ConvlabError
from convlab.data.batches import Batches
from convlab.data.looks import Leak
from convlab.data.preprocessing import Preprocessing
from convlab.data.thumbnails import shrunk


class LabelledData(pl.LightningDataModule, ABC):
    """Classified examples in the splits "train", "val" and "test". Never downloads.

    classes: names, in the order of the labels' indices.
    preprocessing: how an image file becomes what the network (or its frozen backbone) sees.
    input_shape: of one example as the network sees it, c h w or d.
    leaked: test photos that look like others, where that is known.
    rank, world_size: this process among those that share each batch of training and validation.
    """

    classes: list[str]
    preprocessing: Preprocessing
    input_shape: tuple[int, ...]
    seed: int
    leaked: Leak | None = None
    rank: int = 0
    world_size: int = 1

    @abstractmethod
    def batches(self, split: str, shuffle_seed: int | None = None) -> Batches:
        """A loader of `(inputs, labels)`; without `shuffle_seed` in a fixed order."""

    @abstractmethod
    def labels(self, split: str) -> Tensor:
        """Class indices n, in the fixed order of `batches(split)`."""

    @abstractmethod
    def image(self, split: str, index: int) -> Image.Image:
        """The picture behind an example, for people to look at."""

    def thumbnail(self, split: str, index: int) -> Image.Image:
        """The same, no side above `thumbnails.SIDE` pixels; overridden where a file gives it sooner."""
        return shrunk(self.image(split, index))

    def source(self, split: str, index: int) -> str:
        """Where that picture lies: a file's path as the configuration has it, or words."""
        return f"{split} image {index:,}"

    @abstractmethod
    def lineage(self) -> dict[str, Any]:
        """Where the data comes from: `data_hash`, `substitutes`, and hashes of what made it."""

    def _draw(self, labels: Tensor, per_class: int | None) -> Tensor:
        """Indices (ascending) of `per_class` examples a class, drawn by `seed`; of all where it is None.

        The draw of a smaller number is part of that of a larger one.
        """
        everything = torch.arange(len(labels))
        if per_class is None:
            return everything
        counts = labels.bincount(minlength=len(self.classes))
        if not 0 < per_class <= counts.min():
            fewest = self.classes[int(counts.argmin())]
            raise ConvlabError(
                f"data.module.per_class={per_class}: class {fewest} has {counts.min()} training images. "
                f"Choose 1 to {counts.min()}, or null for all."
            )
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(self.seed))
        chosen = [order[labels[order] == label][:per_class] for label in range(len(self.classes))]
        return torch.cat(chosen).sort().values

    def train_dataloader(self) -> Batches:
        return self.batches("train", shuffle_seed=self.seed).shared(self.rank, self.world_size)

    def val_dataloader(self) -> Batches:
        return self.batches("val").shared(self.rank, self.world_size)

    def test_dataloader(self) -> Batches:
        return self.batches("test")
