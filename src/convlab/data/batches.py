"""Batches of in-memory tensors, by index."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from convlab.errors import ConvlabError


class Batches:
    """Iterate over `(inputs[i], labels[i])` batch by batch; a loader that Lightning can resume mid-epoch.

    The order of an epoch depends on `(shuffle_seed, epoch)` alone, so a resumed run sees the very batches
    that an undisturbed one would.

    Args:
        inputs: n ...; a tensor or anything indexable by an index tensor (a memory-mapped array).
        labels: n, class indices.
        transform: applied to each batch of inputs, for instance `Preprocessing.normalize`.
        shuffle_seed: None keeps the order (evaluation).
    """

    batch_sampler = None  # Lightning asks any loader with a sampler for it

    def __init__(
        self,
        inputs: Any,
        labels: Tensor,
        batch_size: int,
        transform: Callable[[Tensor], Tensor] | None = None,
        shuffle_seed: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConvlabError(f"batch_size={batch_size}: expected at least 1.")
        self.inputs, self.labels = inputs, labels
        self.batch_size, self.transform, self.shuffle_seed = batch_size, transform, shuffle_seed
        self._epoch = 0
        self._next = 0

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self._next >= len(self):
            self._next = 0
        chunks = self._order().split(self.batch_size)
        for chunk in chunks[self._next :]:
            self._next += 1  # before the yield: a checkpoint taken in this step counts the batch as done
            inputs = self.inputs[chunk]
            yield (self.transform(inputs) if self.transform else inputs), self.labels[chunk]

    def _order(self) -> Tensor:
        if self.shuffle_seed is None:
            return torch.arange(len(self.labels))
        generator = torch.Generator().manual_seed(self.shuffle_seed * 1_000_003 + self._epoch)
        return torch.randperm(len(self.labels), generator=generator)

    @property
    def sampler(self) -> "Batches":
        """Itself: Lightning announces each epoch by `loader.sampler.set_epoch(epoch)`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._epoch, self._next = epoch, 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._epoch, "next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._epoch, self._next = state["epoch"], state["next"]
