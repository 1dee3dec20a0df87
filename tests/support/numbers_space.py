"""A small space for tests of the cache, importable by processes that the tests start and kill.

The vector of image i is a function of i, so a wrong, lost or swapped one shows.
"""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from convlab.features import cache as module
from convlab.features.cache import BottleneckCache

DIM = 8
IDENTITY = {"backbone": "numbers", "preprocessing": "none"}


def content(i: int) -> str:
    return hashlib.sha256(f"image {i}".encode()).hexdigest()


def vectors(numbers: Iterable[int]) -> np.ndarray:
    return np.array([[i + k / 10 for k in range(DIM)] for i in numbers], dtype=np.float32)


def open_space(root: Path, **identity: str) -> BottleneckCache:
    return BottleneckCache(root, "numbers", {**IDENTITY, **identity})


def fill(root: Path, numbers: Iterable[int]) -> list[int]:
    """Add what is missing, one at a time, each safe on the disk before the next; returns what was missing."""
    module.FLUSH_EVERY_S = -1.0
    added = []
    with open_space(root) as cache:
        for i in numbers:
            if content(i) not in cache:
                cache.add([content(i)], vectors([i]))
                added.append(i)
    return added


if __name__ == "__main__":
    root, first, last, *kill = sys.argv[1:]
    if kill:  # "replace 5": kill -9 of this very process at the fifth call
        import os
        import signal

        name, left = kill[0], int(kill[1])
        real = getattr(Path, name)

        def dying(*arguments, **keywords):
            global left
            left -= name != "unlink" or arguments[0].suffix == ".safetensors"
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        setattr(Path, name, dying)
    module.SHARD_BYTES = 10 * DIM * 4
    print("ready", flush=True)
    print(*fill(Path(root), range(int(first), int(last))), sep=",")
