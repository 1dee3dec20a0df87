"""The bottleneck cache from 1,000 to 100,000 photos: time and memory of a run with nothing new, of 1 % new.

usage: .venv/bin/python benchmarks/bench_cache.py [--sizes 1000 10000 100000] [--repeat 3] [--rate 15]

The photos are bitmaps of 8 x 8 random pixels, their vectors random numbers of Inception-v3's length, added
to the cache directly. Everything else is `convlab features` as a user runs it, each time in a fresh process
and in a folder of its own below the system's temporary directory (3 GB). Its first run writes the features;
the next, a minute later, finds every time stamp settled (`content_hashes.SETTLED_S`); then it is measured.

Beyond start-up: a run's seconds less those of the same command for ten photos.
New photos go through ResNet-50 at 32 x 32 pixels, which gives vectors of the same length in a fraction of
the time. What that run takes, and besides what Inception-v3 would need for the new photos at `--rate`
images a second, is counted against what it would need for all: more than a real run takes, not less.
Memory: the most that a process held at any time (VmHWM), files of the page cache not included.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from record import Figure, record

from convlab.base.console import console
from convlab.data.preprocessing import Preprocessing
from convlab.features.backbone import Backbone
from convlab.features.cache import BottleneckCache
from convlab.features.content_hashes import SETTLED_S

PROJECT = Path(__file__).parents[1]
FEW = 10  # photos of the run that is start-up and little else
SIDE = 8  # pixels
DIM = 2048
CLASSES = 10
SMALL = Preprocessing(size=32, channels=3, pixel_mean=(128,), pixel_std=(128,))
CONVLAB = """
import sys
from pathlib import Path
from convlab.cli.main import main
status = main()  # as a process of its own
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(f"peak {peak.split()[1]}", file=sys.stderr)
sys.exit(status)
"""


class Run(NamedTuple):
    """One process: seconds, most MB of memory, what it printed."""

    seconds: float
    megabytes: float
    printed: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rate", type=float, default=15.0, help="Inception-v3's images a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Bench(Path(folder)), [FEW, *sorted(options.sizes)], options.repeat, options.rate)


def measure(bench: "Bench", sizes: list[int], repeat: int, rate: float) -> None:
    fill, first = {}, {}
    for size in sizes:
        hashes = bench.photos(size, 0, size)
        fill[size] = bench.fill(size, hashes)
        first[size] = bench.run(size)
    console.print(f"waiting {SETTLED_S:.0f} s, until no time stamp is recent", markup=False)
    time.sleep(SETTLED_S + 1)
    for size in sizes:
        expect(bench.run(size), f"reused {size:,}, computed 0")
    nothing = {size: [] for size in sizes}
    for _ in range(repeat):
        for size in sizes:
            nothing[size].append(expect(bench.run(size), "unchanged"))
    added = {size: [] for size in sizes[1:]}
    for repetition in range(repeat):
        for size in sizes[1:]:
            start, new = size + repetition * (size // 100), size // 100
            bench.photos(size, start, new)
            added[size].append(expect(bench.run(size), f"reused {start:,}, computed {new:,}"))
    small, large = sizes[1], sizes[-1]
    start_up = statistics.median(run.seconds for run in nothing[FEW])
    new_images = large // 100
    share = [100 * (run.seconds + new_images / rate) / (large / rate) for run in added[large]]
    figures = [
        Figure(
            f"nothing new, {large:,} photos, beyond start-up",
            [run.seconds - start_up for run in nothing[large]],
            "s",
            "< 3",
        ),
        Figure("start-up (ten photos)", [run.seconds for run in nothing[FEW]], "s"),
        Figure(f"1 % more than {large:,} photos, share of a full extraction", share, "%", "<= 2"),
        Figure(
            f"1 % more than {large:,} photos, with a small network",
            [run.seconds for run in added[large]],
            "s",
        ),
        Figure(
            f"nothing new, memory for {large:,} photos above {small:,}",
            above(nothing[large], nothing[small]),
            "MB",
            "<= 100",
        ),
        Figure(
            f"1 % more, memory for {large:,} photos above {small:,}",
            above(added[large], added[small]),
            "MB",
            "<= 100",
        ),
        Figure(
            f"first run, memory for {large:,} photos above {small:,}",
            above([first[large]], [first[small]]),
            "MB",
            "<= 100",
        ),
        Figure(f"putting {large:,} vectors into the cache", [fill[large]], "s"),
        Figure(f"writing the features of {large:,} photos", [first[large].seconds - start_up], "s"),
    ]
    record(
        "bench_cache",
        "bottleneck cache",
        figures,
        peer="the same command with fewer photos; a full extraction by Inception-v3 "
        f"at {rate:g} images a second, reckoned",
        warm_up="one run after the time stamps have settled; files are in the page cache",
        repetitions=f"{repeat}, sizes in turn, each a fresh process",
        data={
            "num_photos": sizes[1:],
            "nothing_new_s": [statistics.median(r.seconds for r in nothing[size]) for size in sizes[1:]],
            "nothing_new_mb": [statistics.median(r.megabytes for r in nothing[size]) for size in sizes[1:]],
            "one_percent_s": [statistics.median(r.seconds for r in added[size]) for size in sizes[1:]],
            "one_percent_mb": [statistics.median(r.megabytes for r in added[size]) for size in sizes[1:]],
            "first_s": [first[size].seconds for size in sizes[1:]],
            "fill_s": [fill[size] for size in sizes[1:]],
            "start_up_s": start_up,
        },
    )


def expect(run: Run, words: str) -> Run:
    if words not in run.printed:
        raise SystemExit(f"expected '{words}', got:\n{run.printed}")
    return run


def above(larger: list[Run], smaller: list[Run]) -> list[float]:
    return [run.megabytes - statistics.median(each.megabytes for each in smaller) for run in larger]


class Bench:
    """A project in `folder` with a photo folder, a cache and features for each number of photos."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PROJECT / "conf", folder / "conf")
        self.backbone = Backbone("inception_v3", "resnet50", save_weights(folder / "model.safetensors"))

    def photos(self, size: int, start: int, count: int) -> list[str]:
        """Write `count` photos more, beginning with number `start`; returns their content hashes."""
        root, hashes = self.folder / f"photos-{size}", []
        for label in range(CLASSES):
            (root / f"class{label}").mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            data = bitmap(number)
            hashes.append(hashlib.sha256(data).hexdigest())
            (root / f"class{number % CLASSES}" / f"{number}.bmp").write_bytes(data)
        return hashes

    def fill(self, size: int, hashes: list[str]) -> float:
        """Put a vector for each photo into the cache; returns the seconds that the cache took."""
        identity = {
            "backbone": self.backbone.identity(),
            "preprocessing": {**SMALL.to_dict(), "fingerprint": SMALL.fingerprint()},
        }
        noise = np.random.default_rng(0).standard_normal((1000, DIM), dtype=np.float32)
        root, taken = self.folder / f"state-{size}" / "bottlenecks", 0.0
        with BottleneckCache(root, self.backbone.name, identity) as cache:
            for start in range(0, len(hashes), len(noise)):
                chunk = hashes[start : start + len(noise)]
                vectors = noise[: len(chunk)] + np.float32(start)
                began = time.perf_counter()
                cache.add(chunk, vectors)
                taken += time.perf_counter() - began
            began = time.perf_counter()
            cache.flush()
            return taken + time.perf_counter() - began

    def run(self, size: int) -> Run:
        """`convlab features`, in a process of its own."""
        overrides = [
            f"data.name=photos{size}",
            f"data.dir=photos-{size}",
            "backbone=inception_v3",
            f"backbone.architecture={self.backbone.architecture}",
            f"backbone.weights={self.backbone.weights}",
            "backbone.runtime=torch",
            f"backbone.preprocessing.size={SMALL.size}",
        ]
        environment = {
            "CONVLAB_PROJECT": str(self.folder),
            "CONVLAB_STATE": str(self.folder / f"state-{size}"),
        }
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", CONVLAB, "features", "data=flowers", *overrides],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return Run(seconds, int(done.stderr.split("peak ")[1]) / 1024, done.stdout)


def bitmap(number: int) -> bytes:
    """A BMP of random pixels, another for each number: a header of 54 bytes, three bytes a pixel."""
    pixels = np.random.default_rng(number).bytes(SIDE * SIDE * 3)
    header = b"BM" + b"".join(
        value.to_bytes(4, "little") for value in (54 + len(pixels), 0, 54, 40, SIDE, SIDE)
    )
    return header + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24) + pixels


def save_weights(path: Path) -> Path:
    """Random ones: a file of 94 MB, as Inception-v3's."""
    from safetensors.torch import save_file

    save_file(Backbone("random", "resnet50").model.state_dict(), path)
    return path


if __name__ == "__main__":
    main()
