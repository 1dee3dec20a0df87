"""Batches of in-memory tensors, by index."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from convlab.base.errors import ConvlabError

# Inputs n ..., labels n and, where processes share each batch, what this part's mean counts in the mean over
# the parts: its images over those of an equal part. 0 marks a stand-in, where the batch has too few for all.
Batch = tuple[Tensor, Tensor] | tuple[Tensor, Tensor, float]

EVALUATION_BATCH = 250  # of a thousand, LeNet-5's maps leave the processor's cache: 1.8 times the time


class Batches:
    """Iterate over `(inputs[i], labels[i])` batch by batch; a loader that Lightning can resume mid-epoch.

    The order of an epoch depends on `(shuffle_seed, epoch)` alone, so a resumed run sees the very batches
    that an undisturbed one would.

    Args:
        inputs: n ...; a tensor or anything indexable by an index tensor (a memory-mapped array).
        labels: n, class indices.
        transform: applied to each batch of inputs, for instance `Preprocessing.normalize`.
        augment: applied after it, with a generator whose state depends on `shuffle_seed`, the epoch and the
            batch's number alone, for instance `augmentation.Affine`; only of use with a `shuffle_seed`.
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
        augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConvlabError(f"batch_size={batch_size}: expected at least 1.")
        self.inputs, self.labels = inputs, labels
        self.batch_size, self.transform, self.shuffle_seed = batch_size, transform, shuffle_seed
        self.augment = augment if shuffle_seed is not None else None
        self._rank, self._world_size = 0, 1
        self._epoch = 0
        self._next = 0

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def shared(self, rank: int, world_size: int) -> "Batches":
        """Itself, with the part of each batch that process `rank` of `world_size` takes: no image twice."""
        self._rank, self._world_size = rank, world_size
        return self

    def __iter__(self) -> Iterator[Any]:  # of `Batch`
        if self._next >= len(self):
            self._next = 0
        chunks = self._order().split(self.batch_size)
        for chunk in chunks[self._next :]:
            number = self._next
            self._next += 1  # before the yield: a checkpoint taken in this step counts the batch as done
            own = chunk[self._rank :: self._world_size]
            part = own if len(own) else chunk[:1]
            inputs = self.inputs[part]
            if self.transform:
                inputs = self.transform(inputs)
            if self.augment:
                inputs = self.augment(inputs, self._generator(number + 1))
            if self._world_size == 1:
                yield inputs, self.labels[part]
            else:
                yield inputs, self.labels[part], len(own) * self._world_size / len(chunk)

    def _order(self) -> Tensor:
        if self.shuffle_seed is None:
            return torch.arange(len(self.labels))
        return torch.randperm(len(self.labels), generator=self._generator())

    def _generator(self, number: int = 0) -> torch.Generator:
        """Random numbers of this epoch: 0 for its order, from 1 on for its batches."""
        assert self.shuffle_seed is not None
        seed = self.shuffle_seed * 1_000_003 + self._epoch + number * 1_000_000_007
        seed += 1_000_000_000_039 * self._rank if number else 0
        return torch.Generator().manual_seed(seed)

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
