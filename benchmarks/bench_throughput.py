"""What Lightning, metrics and checkpoints cost: images a second in `convlab train`, against a bare loop.

usage: .venv/bin/python benchmarks/bench_throughput.py [--images 20000] [--repeat 3]

Peer: the same network, batches and optimizer in a plain PyTorch loop (forward, backward, step), in the
same process. One untimed pass over 2,000 images first, then the median of `--repeat`; each repetition
measures both, in turn. Random images: the arithmetic is the same as for real ones.
"""

import argparse
import gzip
import statistics
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.table import Table

from convlab import config
from convlab.console import console

NETWORKS = ("lenet5", "lenet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    table = Table("network", "bare loop", "convlab train", "ratio", title="training, images a second")
    for name in NETWORKS:
        bare, ours = measure(name, options.images, options.repeat)
        table.add_row(name, f"{bare:,.0f}", f"{ours:,.0f}", f"{ours / bare:.2f}")
    console.print(table)


def measure(name: str, num_images: int, repeat: int) -> tuple[float, float]:
    """Median images a second of the bare loop and of `convlab.training.train`."""
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), num_images)
        overrides = [f"experiment={name}", "trainer.max_epochs=1", "logger=none", "resume=never"]
        overrides += [f"data.module.dir={folder}", "data.module.num_val=100"]
        settings = config.plain(config.compose("train", overrides))
        bare_loop(settings, 2000)
        pairs = [
            (bare_loop(settings, num_images), ours(settings, Path(folder), num_images - 100))
            for _ in range(repeat)
        ]
    bare, trained = zip(*pairs, strict=True)
    return statistics.median(bare), statistics.median(trained)


def write_images(folder: Path, num_images: int) -> None:
    random = np.random.default_rng(0)
    for prefix, count in (("train", num_images), ("t10k", 100)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for kind, magic, values in (("images-idx3", 2051, images), ("labels-idx1", 2049, labels)):
            header = struct.pack(f">{1 + values.ndim}i", magic, *values.shape)
            path = folder / f"{prefix}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + values.tobytes(), 1))


def bare_loop(settings: dict, num_images: int) -> float:
    import torch
    from hydra.utils import instantiate

    from convlab import runs

    data = instantiate(settings["data"]["module"], _convert_="all")
    network = runs.build_model(settings["model"]).train()
    optimizer = instantiate(settings["optimizer"])(network.parameters())
    loader, seen = data.train_dataloader(), 0
    start = time.perf_counter()
    for inputs, labels in loader:
        loss = torch.nn.functional.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += len(labels)
        if seen >= num_images:
            break
    return seen / (time.perf_counter() - start)


def ours(settings: dict, folder: Path, num_images: int) -> float:
    """Training time as the run itself notes it: from the first step to the end, validation included."""
    from convlab import runs
    from convlab.training import train

    run_dir = folder / "run"
    train(settings, run_dir)
    return num_images / runs.read_state(run_dir)["seconds"]


if __name__ == "__main__":
    main()
