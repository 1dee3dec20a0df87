"""Fill the cache: photos are decoded, and vectors kept, while the runtime computes in its own threads."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from convlab.bottleneck.cache import BottleneckCache
from convlab.console import progress
from convlab.data.photos import Photo
from convlab.errors import ConvlabError
from convlab.preprocessing import Preprocessing, UnreadableImage

if TYPE_CHECKING:
    from torch import Tensor

DECODE_THREADS = min(8, os.cpu_count() or 1)
BATCHES_AHEAD = 2  # decoded
BATCHES_COMPUTING = 2  # the runtime finds the next one when it is through with one
T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Extraction:
    """What one run did, in different image contents. `failed`: content hash -> reason."""

    reused: int = 0
    computed: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)


def extract(
    root: Path,
    photos: Iterable[Photo],
    preprocessing: Preprocessing,
    load: "Callable[[int], Callable[[Tensor], Callable[[], Tensor]]]",
    cache: BottleneckCache,
    batch_size: int,
) -> Extraction:
    """Bring the vector of every photo below `root` into the cache, and report.

    `load` makes the runtime for so many images. It is called once there is something to compute, not before.
    """
    by_content = {photo.content_hash: photo for photo in photos}
    missing = [photo for content, photo in by_content.items() if content not in cache]
    report = Extraction(reused=len(by_content) - len(missing))
    if not missing:
        return report
    import torch

    runtime, started = load(len(missing)), time.perf_counter()
    computing: deque[tuple[list[str], Callable[[], Tensor]]] = deque()
    with progress("extracting", len(missing)) as advance:

        def keep() -> None:
            contents, vectors = computing.popleft()
            cache.add(contents, _checked(vectors()))
            report.computed += len(contents)
            advance(len(contents))

        for batch in _batches(root, missing, preprocessing, batch_size, report, advance):
            computing.append((list(batch), runtime(torch.stack(list(batch.values())))))
            if len(computing) == BATCHES_COMPUTING:
                keep()
        while computing:
            keep()
    cache.flush()
    report.seconds = time.perf_counter() - started
    return report


def _batches(
    root: Path,
    photos: Iterable[Photo],
    preprocessing: Preprocessing,
    batch_size: int,
    report: Extraction,
    advance: Callable[[int], None],
) -> "Iterator[dict[str, Tensor]]":
    """Content hash -> pixels of the photos that can be read; the others go into the report."""

    def decode(photo: Photo) -> "Tensor":
        return read_pixels(root, photo, preprocessing)

    batch: dict[str, Tensor] = {}
    for photo, pixels in ahead(decode, photos, BATCHES_AHEAD * batch_size):
        try:
            batch[photo.content_hash] = pixels.result()
        except UnreadableImage as error:
            report.failed[photo.content_hash] = str(error)
            advance(1)
        if len(batch) == batch_size:
            yield batch
            batch = {}
    if batch:
        yield batch


def read_pixels(root: Path, photo: Photo, preprocessing: Preprocessing) -> "Tensor":
    """uint8 c h w, from the very bytes that the photo's hash stands for."""
    try:
        data = (root / photo.path).read_bytes()
    except OSError as error:
        raise UnreadableImage(error.strerror or str(error)) from None
    if hashlib.sha256(data).hexdigest() != photo.content_hash:
        raise UnreadableImage("it changed while it was read; run it again")
    return preprocessing.pixels(preprocessing.open(data))


def _checked(vectors: "Tensor") -> np.ndarray:
    if vectors.ndim != 2:
        raise ConvlabError(
            f"the backbone gives {tuple(vectors.shape)} for an image batch, expected vectors n d"
        )
    return vectors.numpy()


def ahead(work: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[tuple[T, Future[R]]]:
    """Each item with its result to be, in order; threads work at most `depth` items ahead of the reader."""
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="decode")
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > depth:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)
