"""Photos read and decoded ahead of the one who uses them: by threads, or beside a GPU by processes.

Pillow decodes without Python's lock, but what is done around it holds the lock. On a machine of 16 cores
eight threads came to 1,450 photos of 320x240 a second, sixteen to fewer, sixteen processes to 5,000. Only a
GPU needs so many.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from convlab.data.photos import Photo
from convlab.preprocessing import Preprocessing, UnreadableImage

NUM_THREADS = min(8, os.cpu_count() or 1)
THREADS_AHEAD = 64  # photos
NUM_PROCESSES = os.cpu_count() or 1
PIECE = 8  # photos that a process hands over at a time; it works at most two pieces ahead
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Decoding:
    """Content hash and pixels uint8 c h w of each photo below `root`, or why it can't be read."""

    root: Path
    photos: Sequence[Photo]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[str, NDArray[np.uint8] | str]:
        photo = self.photos[index]
        try:
            return photo.content_hash, read_pixels(self.root, photo, self.preprocessing)
        except UnreadableImage as error:
            return photo.content_hash, str(error)

    def by_threads(self) -> Iterator[tuple[str, NDArray[np.uint8] | str]]:
        """Each in turn; decoding begins with the first that is asked for."""
        return (found.result() for _, found in ahead(self.__getitem__, range(len(self)), THREADS_AHEAD))

    def by_processes(self) -> Iterator[tuple[str, NDArray[np.uint8] | str]]:
        """Each in turn; the processes begin at once. They are forked: call it before threads are started."""
        from torch.utils.data import DataLoader

        # pixels as arrays go through pipes: tensors would need /dev/shm, of which a container has 64 MB
        pieces: DataLoader[list[tuple[str, NDArray[np.uint8] | str]]] = DataLoader(
            self,  # type: ignore[arg-type]  # a data set is what has a length and items
            PIECE,
            num_workers=min(NUM_PROCESSES, -(-len(self) // PIECE)),
            collate_fn=list,
            multiprocessing_context="fork",
        )
        return chain.from_iterable(iter(pieces))


def read_pixels(root: Path, photo: Photo, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """c h w, from the very bytes that the photo's hash stands for; raises UnreadableImage."""
    try:
        data = (root / photo.path).read_bytes()
    except OSError as error:
        raise UnreadableImage(error.strerror or str(error)) from None
    if hashlib.sha256(data).hexdigest() != photo.content_hash:
        raise UnreadableImage("it changed while it was read; run it again")
    return preprocessing.array(preprocessing.open(data))


def ahead(work: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[tuple[T, Future[R]]]:
    """Each item with its result to be, in order; threads work at most `depth` items ahead of the reader."""
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="decode")
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > depth:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)
