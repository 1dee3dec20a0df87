"""Photos read and decoded ahead of the one who uses them: by threads, or beside a GPU by processes.

Pillow decodes without Python's lock, but what is done around it holds the lock. On a machine of 16 cores
eight threads came to 1,450 photos of 320x240 a second, sixteen to fewer, sixteen processes to 5,000. Only a
GPU needs so many.
"""

import hashlib
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from convlab.data import damage
from convlab.data.image_file import DEPTHS, UnreadableImage
from convlab.data.looks import look
from convlab.data.photos import Photo
from convlab.data.preprocessing import Preprocessing
from convlab.data.store_folder import StoreFolder

if TYPE_CHECKING:
    from torch import Tensor

NUM_THREADS = min(8, os.cpu_count() or 1)
THREADS_AHEAD = 64  # photos
NUM_PROCESSES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PIECE = 8  # photos that a process takes at a time; two pieces wait for each process
FULL_DEPTH = DEPTHS[-1]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class DecodedBatch:
    """pixels: uint8 n c h w of the photos that could be read, whose content hashes are `contents`.

    failed: content hash -> why a photo could not be read.
    doubtful: content hash -> why what was read may not be the whole picture, or is a guess.
    looks: content hash -> `looks.look` of it.
    """

    contents: list[str]
    pixels: "Tensor"
    failed: dict[str, str]
    doubtful: dict[str, str]
    looks: dict[str, bytes]


class Decoded(NamedTuple):
    """One photo: uint8 c h w, and what is doubtful about it."""

    pixels: NDArray[np.uint8]
    doubt: str | None


class _Outcome(NamedTuple):
    """Of a photo whose pixels lie in the shared memory, or that failed."""

    failure: str | None = None
    doubt: str | None = None
    look: bytes = b""


class Decoding:
    """Every photo below `root`, in batches of `batch_size`, photos that can't be read among them.

    What threads or processes decode, they write into one memory that all of them share, in which a batch lies
    ready: nothing is sent or copied. A batch's pixels are overwritten once `kept` further batches have been
    asked for.
    """

    def __init__(
        self,
        root: Path | StoreFolder,
        photos: Sequence[Photo],
        preprocessing: Preprocessing,
        batch_size: int,
        kept: int,
        *,
        processes: bool,
    ) -> None:
        self._contents = [photo.content_hash for photo in photos]
        self._batch_size = batch_size
        num_workers = min(NUM_PROCESSES, -(-len(photos) // PIECE))
        depth = PIECE * (2 * num_workers + 1) if processes else THREADS_AHEAD
        num_places = (kept + 1 + -(-depth // batch_size)) * batch_size
        shape = (num_places, preprocessing.channels, preprocessing.size, preprocessing.size)
        # shared with forked processes, but not in /dev/shm, of which a container has 64 MB
        self._memory = np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape)
        decode = _Decode(root, photos, preprocessing, self._memory)
        self._outcomes = _by_processes(decode, num_workers) if processes else _by_threads(decode, depth)

    def __iter__(self) -> Iterator[DecodedBatch]:
        import torch

        for start in range(0, len(self._contents), self._batch_size):
            contents = self._contents[start : start + self._batch_size]
            outcomes = dict(zip(contents, islice(self._outcomes, len(contents)), strict=True))
            place = start % len(self._memory)
            pixels = torch.from_numpy(self._memory[place : place + len(contents)])
            readable = [i for i, content in enumerate(contents) if not outcomes[content].failure]
            if len(readable) < len(contents):
                pixels = pixels[readable]
            yield DecodedBatch(
                [contents[i] for i in readable],
                pixels,
                {content: each.failure for content, each in outcomes.items() if each.failure},
                {content: each.doubt for content, each in outcomes.items() if each.doubt},
                {content: each.look for content, each in outcomes.items() if each.look},
            )


@dataclass(frozen=True)
class _Decode:
    """Item i: photo i is decoded to place i of `memory`, around and around."""

    root: Path | StoreFolder
    photos: Sequence[Photo]
    preprocessing: Preprocessing
    memory: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> _Outcome:
        try:
            pixels, doubt = read_pixels(self.root, self.photos[index], self.preprocessing)
        except UnreadableImage as error:
            return _Outcome(failure=str(error))
        self.memory[index % len(self.memory)] = pixels
        return _Outcome(doubt=doubt, look=look(pixels))


def _by_threads(decode: _Decode, depth: int) -> Iterator[_Outcome]:
    """Decoding begins with the first photo that is asked for."""
    return (found.result() for _, found in ahead(decode.__getitem__, range(len(decode)), depth))


def _by_processes(decode: _Decode, num_workers: int) -> Iterator[_Outcome]:
    """They are forked now, and begin: before a runtime has threads, which no fork would take along."""
    from torch.utils.data import DataLoader

    pieces: DataLoader[list[_Outcome]] = DataLoader(
        decode,  # type: ignore[arg-type]  # a data set is what has a length and items
        PIECE,
        num_workers=num_workers,
        collate_fn=list,
        prefetch_factor=2,
        multiprocessing_context="fork",
    )
    return chain.from_iterable(iter(pieces))


def read_pixels(root: Path | StoreFolder, photo: Photo, preprocessing: Preprocessing) -> Decoded:
    """From the very bytes that the photo's hash stands for; raises UnreadableImage."""
    try:
        data = (root / photo.path).read_bytes()
    except OSError as error:
        raise UnreadableImage(error.strerror or str(error)) from None
    if hashlib.sha256(data).hexdigest() != photo.content_hash:
        raise UnreadableImage("it changed while it was read; run it again")
    image = preprocessing.open(data)
    depth = image.info.get("depth", FULL_DEPTH)
    doubt = f"grey of 16 bits or more, read as {depth}-bit" if depth < FULL_DEPTH else damage.doubt(data)
    return Decoded(preprocessing.array(image), doubt)


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
