"""`engine=ray`: the photos that the cache lacks, computed by a pool of actors of a Ray cluster (Ray Data).

Each actor has the backbone and takes a block of photos at a time; a block whose node died is begun again
elsewhere.
Into a cache in an object store the actors write by themselves, and one further actor lets others read what
came within GATHER_S: neither this process nor the store's manifest sees more of them the more there are. For
a cache in a folder the vectors come back here. Photos are read by their paths, so the nodes must share them.
"""

import asyncio
import logging
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convlab.base import ray_cluster
from convlab.base.console import console, progress
from convlab.base.errors import ConvlabError
from convlab.data.photos import Photo
from convlab.data.preprocessing import Preprocessing
from convlab.data.store_folder import StoreFolder
from convlab.features.backbone import Backbone
from convlab.features.cache import BottleneckCache
from convlab.features.extract import CPU_BATCH, Extraction, extract, what_is_known
from convlab.features.runtimes.choice import choose, make_runtime
from convlab.features.runtimes.work import Work
from convlab.features.shared.cache import SharedCache, Written

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
MOST_DEATHS = 20  # of nodes while an actor starts there, one after another; then it is no accident
GATHER_S = 0.2
CPU_BLOCK, GPU_BLOCK = 256, 4096  # photos an actor takes at a time: what a node that dies has in flight


@dataclass(frozen=True)
class Job:
    """What every actor does.

    shared: address, name and identity of a cache in an object store; None: the vectors are sent back.
    environment: variables that the actors need.
    """

    root: Path | StoreFolder
    preprocessing: Preprocessing
    backbone: Backbone
    runtime: str
    batch_size: int | None
    block: int
    shared: tuple[str, str, dict[str, Any]] | None
    environment: dict[str, str]


def extract_on_ray(
    root: Path | StoreFolder,
    photos: Sequence[Photo],
    preprocessing: Preprocessing,
    backbone: Backbone,
    runtime: str,
    cache: BottleneckCache | SharedCache,
    batch_size: int | None,
    engine: Mapping[str, Any],
) -> Extraction:
    """As `extract`, which it ends equal to, on the cluster that `engine` (conf/engine/ray.yaml) names.

    Raises ConvlabError where the cluster cannot be reached, and where no actor gets to work.
    """
    missing, report = what_is_known(root, photos, preprocessing, cache)
    if not missing:
        return report
    block = engine["block"] or (GPU_BLOCK if engine["num_gpus"] else CPU_BLOCK)
    if runtime == "auto":
        runtime, reason = (
            ("torch", "on GPUs")
            if engine["num_gpus"]
            else choose(Work(backbone, preprocessing, len(missing), block))
        )
        console.print(f"runtime: {runtime} ({reason})", markup=False)
    shared = (cache.address, cache.name, cache.identity) if isinstance(cache, SharedCache) else None
    job = Job(
        root, preprocessing, replace(backbone), runtime, batch_size, block, shared, ray_cluster.environment()
    )
    started = time.perf_counter()
    with (
        ray_cluster.connected(engine["address"], engine["init"]),
        progress("extracting", len(missing)) as advance,
    ):
        console.print(f"engine: ray, {ray_cluster.resources()}", markup=False)
        for results in watched(_blocks(missing, job, engine), engine["stall_s"]):
            _take(results, cache, report)
            advance(len(results))
    cache.flush()
    report.seconds = time.perf_counter() - started
    return report


def _blocks(missing: Sequence[Photo], job: Job, engine: Mapping[str, Any]) -> "Iterator[pa.Table]":
    """The results of each block, as they come."""
    import pyarrow as pa
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # progress and errors are told here
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = MOST_DEATHS
    tables = [
        pa.table(
            {
                "content": [photo.content_hash for photo in part],
                "path": [photo.path for photo in part],
            }
        )
        for part in (missing[start : start + job.block] for start in range(0, len(missing), job.block))
    ]
    committer = None
    if job.shared:
        lasting = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        committer = lasting(_Committer).remote(job.shared, job.environment)
    data = ray.data.from_arrow(tables).map_batches(
        _Worker,
        fn_constructor_args=(job, committer),
        batch_size=None,  # a block is a batch
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=engine["workers"]),
        num_cpus=engine["num_cpus"],
        num_gpus=engine["num_gpus"] or None,
    )
    yield from data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


class _Worker:
    """An actor: photos of a block -> what became of each, with its vector where that is not in the store."""

    def __init__(self, job: Job, committer: Any) -> None:
        os.environ |= job.environment
        console.quiet = True
        self._job, self._committer = job, committer
        self._shared = SharedCache(*job.shared, commits=False) if job.shared else None

    @cached_property
    def _runtime(self) -> Any:
        job = self._job
        return make_runtime(
            job.runtime, Work(job.backbone, job.preprocessing, job.block, job.batch_size or CPU_BATCH)
        )

    def __call__(self, block: "pa.Table") -> "pa.Table":
        import pyarrow as pa

        pairs = zip(block["content"].to_pylist(), block["path"].to_pylist(), strict=True)
        photos = [Photo(content, "", path) for content, path in pairs]
        cache = self._shared or _Kept()
        job = self._job
        known = cache.known(block["content"].to_pylist())  # computed by others, or before a node died
        report = extract(
            job.root, photos, job.preprocessing, lambda *_: self._runtime, cache, job.batch_size, forks=False
        )
        if self._shared and (written := self._shared.written()):
            import ray

            ray.get(self._committer.commit.remote(written))  # begun again after this, the block is known
        contents = [photo.content_hash for photo in photos]
        kept = cache.vectors if isinstance(cache, _Kept) else {}
        return pa.table(
            {
                "content": contents,
                "computed": [content not in known for content in contents],
                "failed": pa.array([report.failed.get(content) for content in contents], pa.string()),
                "doubt": pa.array([report.doubtful.get(content) for content in contents], pa.string()),
                "look": pa.array([report.looks.get(content) for content in contents], pa.binary()),
                "vector": pa.array([kept.get(content) for content in contents], pa.binary()),
            }
        )


class _Committer:
    """An actor: lets others read what the workers wrote, many shards at a time."""

    def __init__(self, shared: tuple[str, str, dict[str, Any]], environment: dict[str, str]) -> None:
        os.environ |= environment
        console.quiet = True
        self._cache = SharedCache(*shared, commits=False)
        self._gathered: list[Written] = []
        self._next: asyncio.Task[None] | None = None

    async def commit(self, written: list[Written]) -> None:
        """Return once others can read these shards."""
        self._gathered += written
        if self._next is None:
            self._next = asyncio.create_task(self._commit())
        await self._next

    async def _commit(self) -> None:
        await asyncio.sleep(GATHER_S)
        gathered, self._gathered, self._next = self._gathered, [], None
        await asyncio.to_thread(self._cache.commit, gathered)


class _Kept:
    """In an actor: a cache that keeps a block's vectors until they are sent back."""

    def __init__(self) -> None:
        self.vectors: dict[str, bytes] = {}

    def known(self, contents: Iterable[str]) -> set[str]:
        return set()

    def notes(self, contents: Iterable[str]) -> tuple[dict[str, str], dict[str, bytes]]:
        return {}, {}

    def add_looks(self, looks: Mapping[str, bytes]) -> None:
        raise AssertionError("nothing is known")

    def add(self, contents: Sequence[str], vectors: NDArray[np.float32], *_: Any) -> None:
        self.vectors |= {content: vector.tobytes() for content, vector in zip(contents, vectors, strict=True)}

    def flush(self) -> None:
        """They are in memory until the block ends."""


def _take(results: "pa.Table", cache: BottleneckCache | SharedCache, report: Extraction) -> None:
    """A block's results into the cache and the report."""
    columns = results.to_pydict()
    contents = columns["content"]

    def said(name: str) -> dict[str, Any]:
        return {
            content: value
            for content, value in zip(contents, columns[name], strict=True)
            if value is not None
        }

    failed, doubts, looks = said("failed"), said("doubt"), said("look")
    report.failed |= failed
    report.doubtful |= doubts
    report.looks |= looks
    reused = len(contents) - sum(columns["computed"])
    report.reused += reused
    report.computed += len(contents) - reused - len(failed)
    if vectors := said("vector"):
        rows = np.stack([np.frombuffer(vector, np.float32) for vector in vectors.values()])
        cache.add(list(vectors), rows, looks, doubts)


def watched(results: Iterator[T], stall_s: float) -> Iterator[T]:
    """`results`. Raises ConvlabError if none comes for `stall_s` seconds, and the one an actor raised.

    A pool that gets no processor waits without a word.
    """
    arrived: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=1)

    def bring() -> None:
        try:
            for result in results:
                arrived.put((result, None))
        except BaseException as error:
            arrived.put((None, error))
        else:
            arrived.put((None, StopIteration()))

    threading.Thread(target=bring, daemon=True).start()
    while True:
        try:
            result, error = arrived.get(timeout=stall_s)
        except queue.Empty:
            raise ConvlabError(
                f"no photo came back within {stall_s:g} s: {ray_cluster.resources()}. Free some, ask for "
                "less (engine.num_cpus, engine.num_gpus), or wait longer (engine.stall_s). The same command "
                "resumes."
            ) from None
        if isinstance(error, StopIteration):
            return
        if error is not None:
            raise ray_cluster.told(error) from error
        yield result  # type: ignore[misc]
