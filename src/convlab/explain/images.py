"""The images of a data split, as the network and as people see them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlab.base.errors import ConvlabError
from convlab.data.labelled import LabelledData


class Images:
    """One split of `data`, whose first `limit` images are looked through (None: all).

    Raises ConvlabError for a split that does not exist.
    """

    def __init__(self, data: LabelledData, split: str, limit: int | None, device: torch.device) -> None:
        if split not in ("train", "val", "test"):
            raise ConvlabError(f"split={split}: choose train, val or test.")
        self.split, self.classes, self.device = split, data.classes, device
        self.labels = data.labels(split)
        self.num = min(limit or len(self.labels), len(self.labels))
        self._batches = data.batches(split)
        self._preprocessing = data.preprocessing

    def batches(self) -> Iterator[Tensor]:
        """n c h w as the network sees them, up to the limit."""
        left = self.num
        for images, _ in self._batches:
            yield images[:left].to(self.device)
            left -= len(images)
            if left <= 0:
                return

    def inputs(self, indices: list[int]) -> Tensor:
        """n c h w as the network sees them."""
        images = self._batches.inputs[torch.tensor(indices)]
        return (self._batches.transform(images) if self._batches.transform else images).to(self.device)

    def pixels(self, image: Tensor) -> np.ndarray:
        """An image c h w that the network sees as people do, from 0 to 1; not a number stays so."""
        mean, std = (
            torch.tensor(values).view(-1, 1, 1)
            for values in (self._preprocessing.pixel_mean, self._preprocessing.pixel_std)
        )
        return ((image.cpu() * std + mean) / 255).clamp(0, 1).numpy()

    def class_of(self, index: int) -> str:
        return self.classes[int(self.labels[index])]

    def check(self, name: str, index: Any) -> int:
        """`index`, or a ConvlabError with the setting's `name` if the split has no such image."""
        if not isinstance(index, int) or not 0 <= index < len(self.labels):
            raise ConvlabError(
                f"{name}={index}: the split {self.split} has images 0 to {len(self.labels) - 1}."
            )
        return index

    def first_of_classes(self, num: int) -> list[int]:
        """`num` indices: the first image of each class in turn, then the second of each, ..."""
        seen: Counter[int] = Counter()
        ranked = []
        for index, label in enumerate(self.labels.tolist()):
            seen[label] += 1
            ranked.append((seen[label], label, index))
        return [index for _, _, index in sorted(ranked)[:num]]


def above_zero(name: str, value: Any) -> int | None:
    """`value`, or a ConvlabError with the setting's `name` unless it is a whole number above 0, or None."""
    if value is not None and not (isinstance(value, int) and value > 0):
        raise ConvlabError(f"{name}={value}: expected a number above 0, or null.")
    return value
