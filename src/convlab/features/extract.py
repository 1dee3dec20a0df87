"""Fill the cache: photos are decoded, and vectors kept, while the runtime computes in its own threads."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from convlab.base.console import progress
from convlab.base.errors import ConvlabError
from convlab.data.decoding import THREADS_AHEAD, DecodedBatch, Decoding, ahead, read_pixels
from convlab.data.image_file import UnreadableImage
from convlab.data.looks import look
from convlab.data.photos import Photo
from convlab.data.preprocessing import Preprocessing
from convlab.data.store_folder import StoreFolder

if TYPE_CHECKING:
    from torch import Tensor

CPU_BATCH, GPU_BATCH = 32, 128  # a GPU needs so much at once to be busy; a CPU doesn't, and shows progress
BATCHES_COMPUTING = 2  # the runtime finds the next one when it is through with one


class Cache(Protocol):
    """What a cache is to those who fill it: `cache.py` in a folder, `shared/cache.py` in a store."""

    def known(self, content_hashes: Iterable[str]) -> set[str]:
        """Those whose vectors it has."""

    def notes(self, content_hashes: Iterable[str]) -> tuple[dict[str, str], dict[str, bytes]]:
        """Of known ones, by content hash: what is doubtful, and looks."""

    def add_looks(self, looks: Mapping[str, bytes]) -> None:
        """Keep looks of known ones."""

    def add(
        self,
        content_hashes: Sequence[str],
        vectors: NDArray[np.float32],
        looks: Mapping[str, bytes] | None = None,
        doubts: Mapping[str, str] | None = None,
    ) -> None:
        """Take float32 n d; what belongs to other images is kept with theirs, which come next."""

    def flush(self) -> None:
        """Return once all that was added is safe."""


@dataclass
class Extraction:
    """What one run did, in different image contents.

    failed, doubtful: content hash -> reason; the doubtful ones are used. looks: content hash -> look.
    """

    reused: int = 0
    computed: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    looks: dict[str, bytes] = field(default_factory=dict)


def extract(
    root: Path | StoreFolder,
    photos: Iterable[Photo],
    preprocessing: Preprocessing,
    load: "Callable[[int, int], Callable[[Tensor], Callable[[], Tensor]]]",
    cache: Cache,
    batch_size: int | None = None,
    forks: bool = True,
) -> Extraction:
    """Bring the vector of every photo below `root` into the cache, and report.

    `load` makes the runtime for so many images, in batches of so many. It is called once there is something
    to compute, not before. forks: whether photos may be decoded by processes, beside a GPU.
    """
    missing, report = what_is_known(root, photos, preprocessing, cache)
    if not missing:
        return report
    import torch

    on_gpu = torch.cuda.is_available()
    batch_size = batch_size or (GPU_BATCH if on_gpu else CPU_BATCH)
    decoding = Decoding(
        root, missing, preprocessing, batch_size, BATCHES_COMPUTING, processes=on_gpu and forks
    )
    runtime, started = load(len(missing), batch_size), time.perf_counter()
    computing: deque[tuple[DecodedBatch, Callable[[], Tensor]]] = deque()
    with progress("extracting", len(missing)) as advance:

        def keep() -> None:
            batch, vectors = computing.popleft()
            cache.add(batch.contents, _checked(vectors()), batch.looks, batch.doubtful)
            report.computed += len(batch.contents)
            advance(len(batch.contents))

        for batch in decoding:
            report.failed |= batch.failed
            report.doubtful |= batch.doubtful
            report.looks |= batch.looks
            advance(len(batch.failed))
            if batch.contents:
                computing.append((batch, runtime(batch.pixels)))
            if len(computing) == BATCHES_COMPUTING:
                keep()
        while computing:
            keep()
    cache.flush()
    report.seconds = time.perf_counter() - started
    return report


def what_is_known(
    root: Path | StoreFolder, photos: Iterable[Photo], preprocessing: Preprocessing, cache: Cache
) -> tuple[list[Photo], Extraction]:
    """The photos that `cache` lacks, one of each content, and what it tells of the others."""
    by_content = {photo.content_hash: photo for photo in photos}
    known = cache.known(by_content)
    doubts, looks = cache.notes(known)
    report = Extraction(reused=len(known), doubtful=doubts, looks=looks)
    unlooked = [photo for content, photo in by_content.items() if content in known and content not in looks]
    _look_again(root, unlooked, preprocessing, report, cache)
    return [photo for content, photo in by_content.items() if content not in known], report


def _look_again(
    root: Path | StoreFolder,
    photos: Sequence[Photo],
    preprocessing: Preprocessing,
    report: Extraction,
    cache: Cache,
) -> None:
    """Of photos whose vectors are there and whose looks are lost."""
    if not photos:
        return
    found: dict[str, bytes] = {}
    with progress("comparing", len(photos)) as advance:
        for photo, decoded in ahead(
            lambda each: read_pixels(root, each, preprocessing), photos, THREADS_AHEAD
        ):
            with suppress(UnreadableImage):  # its vector was computed when it could be read
                found[photo.content_hash] = look(decoded.result().pixels)
            advance(1)
    report.looks |= found
    cache.add_looks(found)


def _checked(vectors: "Tensor") -> np.ndarray:
    if vectors.ndim != 2:
        raise ConvlabError(
            f"the backbone gives {tuple(vectors.shape)} for an image batch, expected vectors n d"
        )
    return vectors.numpy()
