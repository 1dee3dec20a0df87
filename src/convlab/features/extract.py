"""Fill the cache: photos are decoded, and vectors kept, while the runtime computes in its own threads."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlab.base.console import progress
from convlab.base.errors import ConvlabError
from convlab.data.decoding import THREADS_AHEAD, Decoding, ahead, read_pixels
from convlab.data.image_file import UnreadableImage
from convlab.data.looks import look
from convlab.data.photos import Photo
from convlab.data.preprocessing import Preprocessing
from convlab.features.cache import BottleneckCache
from convlab.features.doubts import Doubts
from convlab.features.looks_kept import LooksKept

if TYPE_CHECKING:
    from torch import Tensor

CPU_BATCH, GPU_BATCH = 32, 128  # a GPU needs so much at once to be busy; a CPU doesn't, and shows progress
BATCHES_COMPUTING = 2  # the runtime finds the next one when it is through with one


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
    root: Path,
    photos: Iterable[Photo],
    preprocessing: Preprocessing,
    load: "Callable[[int, int], Callable[[Tensor], Callable[[], Tensor]]]",
    cache: BottleneckCache,
    batch_size: int | None = None,
) -> Extraction:
    """Bring the vector of every photo below `root` into the cache, and report.

    `load` makes the runtime for so many images, in batches of so many. It is called once there is something
    to compute, not before.
    """
    by_content = {photo.content_hash: photo for photo in photos}
    missing = [photo for content, photo in by_content.items() if content not in cache]
    doubts, looks = Doubts(cache.dir / "doubtful"), LooksKept(cache.dir / "looks")
    report = Extraction(
        reused=len(by_content) - len(missing),
        doubtful={content: doubts[content] for content in by_content if content in doubts},
        looks=looks.of(list(by_content)),
    )
    unlooked = [
        photo for content, photo in by_content.items() if content in cache and content not in report.looks
    ]
    _look_again(root, unlooked, preprocessing, report, looks)
    if not missing:
        return report
    import torch

    on_gpu = torch.cuda.is_available()
    batch_size = batch_size or (GPU_BATCH if on_gpu else CPU_BATCH)
    decoding = Decoding(root, missing, preprocessing, batch_size, BATCHES_COMPUTING, processes=on_gpu)
    runtime, started = load(len(missing), batch_size), time.perf_counter()
    computing: deque[tuple[list[str], Callable[[], Tensor]]] = deque()
    with progress("extracting", len(missing)) as advance:

        def keep() -> None:
            contents, vectors = computing.popleft()
            cache.add(contents, _checked(vectors()))
            report.computed += len(contents)
            advance(len(contents))

        for batch in decoding:
            report.failed |= batch.failed
            report.doubtful |= batch.doubtful
            report.looks |= batch.looks
            doubts.add(batch.doubtful)
            looks.add(batch.looks)
            advance(len(batch.failed))
            if batch.contents:
                computing.append((batch.contents, runtime(batch.pixels)))
            if len(computing) == BATCHES_COMPUTING:
                keep()
        while computing:
            keep()
    cache.flush()
    report.seconds = time.perf_counter() - started
    return report


def _look_again(
    root: Path, photos: Sequence[Photo], preprocessing: Preprocessing, report: Extraction, looks: LooksKept
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
    looks.add(found)


def _checked(vectors: "Tensor") -> np.ndarray:
    if vectors.ndim != 2:
        raise ConvlabError(
            f"the backbone gives {tuple(vectors.shape)} for an image batch, expected vectors n d"
        )
    return vectors.numpy()
