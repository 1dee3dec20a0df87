"""Vectors past one machine: Ray against one process, the index from 10^4 to 10^8 keys, and a bill on paper.

usage: .venv/bin/python benchmarks/bench_scale.py [--images 512] [--sizes 4 6 8] [--repeat 3]

Needs `convlab[ray,s3]`, flowers and Inception-v3. The index is of random keys, in a folder that obstore
presents as a store (6 GB for 10^8): what a network adds is in the table on paper, not in the rates. Each
size is looked up in a fresh process, by blocks of 256 photos as an actor does, half of them unknown.
Memory: the most that the process held at any time beyond what it held before (VmHWM).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_features import make_project
from record import Figure, record

from convlab.base.config import compose, plain
from convlab.base.console import console
from convlab.base.object_store import ObjectStore
from convlab.data import photo_files
from convlab.data.looks import BYTES
from convlab.features import on_ray, photo_features
from convlab.features.shared import manifest
from convlab.features.shared.index import PART_ROWS, ROWS_FOLDED, Index
from convlab.features.shared.manifest import Manifest
from convlab.features.shared.table import KEYS, Table

BLOCK = 256  # photos of an actor
BLOCKS = 100
SHARD_ROWS = 8192  # of 2,048 numbers: 64 MB
SETTINGS = ("data=flowers", "data.dir=photos", "data.name=photos", "backbone.runtime=onnxruntime")


class Folder(ObjectStore):
    """A folder in the place of a store: objects are its files."""

    def __init__(self, address: str) -> None:
        from obstore.store import LocalStore

        self.address = address
        self._store = LocalStore(address, mkdir=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 6, 8], help="powers of ten")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--look-up", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look_up:
        print(json.dumps(look_up(options.look_up)))
        return
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        figures += engines(Path(folder), options.images, options.repeat)
    with tempfile.TemporaryDirectory() as folder:
        figures += listing(Path(folder))
        for power in options.sizes:
            figures += index(Path(folder), power)
    record(
        "bench_scale",
        "vectors past one machine",
        figures,
        peer="engine=local on the same cores",
        warm_up="the runtime's export is made before; files are in the page cache",
        repetitions=f"{options.repeat}, in turn; the index once a size",
    )
    print(on_paper())


def engines(project: Path, num_images: int, repeat: int) -> list[Figure]:
    """Images a second of `engine=ray` and of `engine=local`, start-up left out and counted in."""
    make_project(project, num_images)
    os.environ |= {"CONVLAB_PROJECT": str(project), "CONVLAB_STATE": str(project / "state")}
    rates: dict[str, list[float]] = {}
    arrived: list[tuple[float, int]] = []  # when a block's results came, and how many photos
    real = on_ray._take

    def take(results: Any, *others: Any) -> None:
        arrived.append((time.perf_counter(), len(results)))
        real(results, *others)

    on_ray._take = take
    for turn in range(-1, repeat):  # the first one exports the network
        for engine in ("local", "ray"):
            os.environ["CONVLAB_CACHE"] = str(project / f"cache-{turn}-{engine}")
            words = [*SETTINGS, f"engine={engine}", *(["engine.block=16"] if engine == "ray" else [])]
            arrived.clear()
            done = photo_features.compute(plain(compose("features", words)), lambda _: None).extraction
            whole = done.computed / done.seconds
            if arrived:
                steady = sum(number for _, number in arrived[1:]) / (arrived[-1][0] - arrived[0][0])
            else:
                steady = whole
            console.print(f"{engine}: {whole:.2f} images/s, {steady:.2f} once begun", markup=False)
            if turn >= 0:
                rates.setdefault(engine, []).append(steady)
                rates.setdefault(f"{engine}, whole", []).append(whole)

    def ratio(name: str) -> list[float]:
        return [a / b for a, b in zip(rates[name], rates["local"], strict=True)]

    return [
        Figure("engine=local", rates["local"], "images/s"),
        Figure("engine=ray, once its actors have begun", rates["ray"], "images/s"),
        Figure("engine=ray / engine=local, once begun", ratio("ray"), "times", ">= 0.9"),
        Figure(
            f"the same of {num_images:,} photos, the cluster's start included", ratio("ray, whole"), "times"
        ),
    ]


def listing(folder: Path) -> list[Figure]:
    """Photos a second found in a folder, and objects a second listed in a store."""
    for number in range(20_000):
        path = folder / "photos" / f"class{number % 10}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    start = time.perf_counter()
    found = sum(photo_files.is_photo(path) for path in photo_files.walk(folder / "photos"))
    files = found / (time.perf_counter() - start)
    start = time.perf_counter()
    found = sum(1 for _ in Folder(str(folder / "photos")).entries())
    return [
        Figure("files listed", [files], "1/s"),
        Figure("objects listed", [found / (time.perf_counter() - start)], "1/s"),
    ]


def index(folder: Path, power: int) -> list[Figure]:
    """An index of 10^power random keys: what looking up costs."""
    place = folder / f"index-{power}"
    start = time.perf_counter()
    build(Folder(str(place)), 10**power)
    console.print(f"10^{power} keys: index made in {time.perf_counter() - start:.0f} s", markup=False)
    command = [sys.executable, __file__, "--look-up", str(place)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [
        Figure(f"10^{power} keys, looked up", [found["rate"]], "1/s"),
        Figure(f"10^{power} keys, memory", [found["megabytes"]], "MB"),
    ]


def build(store: Folder, num_keys: int) -> None:
    """Random keys in partitions of the size that `Index.fold` gives them."""
    bits = 0
    while num_keys > PART_ROWS << bits:
        bits += 1
    writer, draw = Index(store), np.random.default_rng(0)
    partitions = []
    for part, count in enumerate(np.diff(np.linspace(0, num_keys, 2**bits + 1).astype(int))):
        keys = draw.integers(0, 256, (count, KEYS.itemsize), dtype=np.uint8)
        first = (part << (32 - bits)) + draw.integers(0, 1 << (32 - bits), count)
        keys[:, :4] = first.astype(">u4").view(np.uint8).reshape(-1, 4)
        keys = keys[np.argsort(keys.view(KEYS)[:, 0])]
        looks = draw.integers(0, 256, (count, BYTES), dtype=np.uint8)
        tables = [
            Table.of(
                f"{part}-{start}".rjust(64, "0"),
                keys[start : start + SHARD_ROWS],
                looks[start : start + SHARD_ROWS],
                {},
            )
            for start in range(0, count, SHARD_ROWS)
        ]
        partitions.append((writer.write(Table.joined(tables)),))
    store.create(manifest.NAME, Manifest(bits, tuple(partitions), rows=num_keys).to_json())


def look_up(place: Path) -> dict[str, float]:
    """In this process: keys a second, and the most memory beyond what the imports took."""
    store = Folder(str(place))
    before, start = peak(), time.perf_counter()
    draw, index = np.random.default_rng(1), Index(store)
    present = manifest.read(store)
    assert present is not None
    known = 0
    for number in range(BLOCKS):
        part = number * len(present.partitions) // BLOCKS
        there = index.table(present.partitions[part][0]).keys
        at = draw.integers(0, max(1, len(there) - BLOCK))
        half = there[at : at + BLOCK : 2].copy()
        others = half.copy().view(np.uint8).reshape(-1, KEYS.itemsize)
        others[:, -1] ^= 1
        known += len(index.find(present, np.unique(np.concatenate([half, others.view(KEYS)[:, 0]]))))
    assert known == BLOCKS * BLOCK // 2, known
    return {"rate": BLOCKS * BLOCK / (time.perf_counter() - start), "megabytes": peak() - before}


def peak() -> float:
    """Megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def on_paper() -> str:
    """Seconds, requests, bytes and dollars from the constants below; a table for docs/performance.md.

    Prices: S3 Standard in us-east-1 (aws.amazon.com/s3/pricing): $0.005 for 1,000 PUT or LIST, $0.0004
    for 1,000 GET, $0.023 a GB and month.
    """
    rates = {"CPU": 17.7 * 8, "GPU": 1450.0}  # images/s of a node: 16 cores; threads decoding for one GPU
    lines = ["| photos | nodes | seconds | PUT | GET | GB | $ of requests | $ a month |", "|" + " ---: |" * 8]
    for power in (6, 8, 9):
        for kind, nodes in (("CPU", 10), ("CPU", 100), ("CPU", 1000), ("GPU", 100)):
            photos, block = 10**power, BLOCK if kind == "CPU" else 4096
            seconds = photos / rates[kind] / nodes
            shards = photos / block
            parts = 2 ** max(0, int(np.ceil(np.log2(photos / PART_ROWS))))
            folds = photos / max(64 * block, ROWS_FOLDED * parts)
            joined = photos / SHARD_ROWS if block < SHARD_ROWS / 2 else 0  # full shards
            puts = 3 * shards + 2 * joined + folds * parts * 9 / 8 + shards / 64
            gets = photos + 3 * shards + folds * parts
            gigabytes = photos * (2048 * 4 + 56) / 1e9
            dollars = puts / 1000 * 0.005 + gets / 1000 * 0.0004
            lines.append(
                f"| 10^{power} | {nodes:,} {kind} | {seconds:,.0f} | {puts:,.0f} | {gets:,.0f} | "
                f"{gigabytes:,.0f} | {dollars:,.0f} | {gigabytes * 0.023:,.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
