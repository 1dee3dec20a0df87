"""What every data set offers, whatever its inputs are."""

from abc import ABC, abstractmethod
from typing import Any

import pytorch_lightning as pl
from PIL import Image
from torch import Tensor

from convlab.data.batches import Batches
from convlab.preprocessing import Preprocessing


class LabelledData(pl.LightningDataModule, ABC):
    """Classified examples in the splits "train", "val" and "test". Never downloads.

    classes: names, in the order of the labels' indices.
    preprocessing: how an image file becomes what the network (or its frozen backbone) sees.
    input_shape: of one example as the network sees it, c h w or d.
    """

    classes: list[str]
    preprocessing: Preprocessing
    input_shape: tuple[int, ...]
    seed: int

    @abstractmethod
    def batches(self, split: str, shuffle_seed: int | None = None) -> Batches:
        """A loader of `(inputs, labels)`; without `shuffle_seed` in a fixed order."""

    @abstractmethod
    def labels(self, split: str) -> Tensor:
        """Class indices n, in the fixed order of `batches(split)`."""

    @abstractmethod
    def image(self, split: str, index: int) -> Image.Image:
        """The picture behind an example, for people to look at."""

    @abstractmethod
    def lineage(self) -> dict[str, Any]:
        """Where the data comes from: `data_hash`, `substitutes`, and hashes of what made it."""

    def train_dataloader(self) -> Batches:
        return self.batches("train", shuffle_seed=self.seed)

    def val_dataloader(self) -> Batches:
        return self.batches("val")

    def test_dataloader(self) -> Batches:
        return self.batches("test")
