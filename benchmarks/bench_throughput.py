"""What Lightning, metrics, checkpoints and MLflow cost: `convlab train` against a bare loop, images a second.

usage: .venv/bin/python benchmarks/bench_throughput.py [--repeat 3]

Peer: the same network, batches, optimizer and schedule in a plain PyTorch loop (forward, backward, step), in
the same process, with the same validation at the end. Both take one epoch of 55,000 random images (the
arithmetic is that of real ones); ours is timed as the run itself notes it, from the first step until the
model is on disk, and writes to MLflow as by default. Repetitions alternate. The processor's peak is that of a
float32 matrix product of 2,048 x 2,048, measured between them.
"""

import argparse
import gzip
import math
import os
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import Figure, record

from convlab.base import config

GOALS = {"lenet5": ">= 0.80", "lenet": ">= 0.95"}
NUM_IMAGES, NUM_VAL = 60_000, 5_000
SIDE = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
        os.environ["CONVLAB_STATE"] = str(folder / "state")
        write_images(folder)
        ours(settings("lenet5", folder, "+trainer.limit_train_batches=20"), folder)  # makes the database
        for experiment in GOALS:
            figures += measure(experiment, folder, options.repeat)
    record(
        "bench_throughput",
        "training through `convlab train`, against a bare loop",
        figures,
        peer="a plain PyTorch loop over the same tensors",
        warm_up="a training of 20 steps, and 20 steps of the loop",
        repetitions=f"{options.repeat}, alternating; medians",
    )


def settings(experiment: str, folder: Path, *more: str) -> dict[str, Any]:
    overrides = [f"experiment={experiment}", "trainer.max_epochs=1", "resume=never"]
    overrides += [f"data.module.dir={folder}", f"data.module.num_val={NUM_VAL}", *more]
    return config.plain(config.compose("train", overrides))


def measure(experiment: str, folder: Path, repeat: int) -> list[Figure]:
    plain, last = settings(experiment, folder), settings(experiment, folder, "channels_last=true")
    bare_loop(plain, max_steps=20)
    rates: dict[str, list[float]] = {"bare": [], "ours": [], "last": [], "peak": []}
    for _ in range(repeat):
        rates["bare"].append(bare_loop(plain))
        rates["ours"].append(ours(plain, folder))
        rates["peak"].append(matrix_product())
        rates["last"].append(ours(last, folder))
    ratios = [mine / bare for mine, bare in zip(rates["ours"], rates["bare"], strict=True)]
    found = [
        Figure(f"{experiment}: bare loop", rates["bare"], "images/s"),
        Figure(f"{experiment}: convlab train", rates["ours"], "images/s"),
        Figure(f"{experiment}: convlab train / bare loop", ratios, "", GOALS[experiment]),
        Figure(f"{experiment}: convlab train channels_last=true", rates["last"], "images/s"),
    ]
    if experiment == "lenet":
        found.append(Figure("matrix product", [peak / 1e9 for peak in rates["peak"]], "GFLOP/s"))
        for which, layout in (("ours", ""), ("last", ", channels_last=true")):
            work = [rate * operations(plain) for rate in rates[which]]
            share = [mine / peak for mine, peak in zip(work, rates["peak"], strict=True)]
            found.append(Figure(f"lenet: share of the matrix product's rate{layout}", share, "", ">= 0.80"))
    return found


def operations(chosen: dict[str, Any]) -> float:
    """Floating-point operations of one training image: forward, and twice that backward.

    The first layer has but one of the two: no gradient with respect to the image is computed.
    """
    from convlab.arithmetic.network import rows
    from convlab.models.architectures import ARCHITECTURES

    model = {key: value for key, value in chosen["model"].items() if key != "_target_"}
    network = ARCHITECTURES[chosen["model"]["_target_"]](**model)
    work = [row.multiply_adds for row in rows(network) if row.multiply_adds]
    return 2 * (3 * sum(work) - work[0])


def matrix_product() -> float:
    """Floating-point operations a second."""
    import torch

    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    a @ b
    start = time.perf_counter()
    for _ in range(10):
        a @ b
    return 10 * 2 * SIDE**3 / (time.perf_counter() - start)


def write_images(folder: Path) -> None:
    random = np.random.default_rng(0)
    for prefix, count in (("train", NUM_IMAGES), ("t10k", 100)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for kind, magic, values in (("images-idx3", 2051, images), ("labels-idx1", 2049, labels)):
            header = struct.pack(f">{1 + values.ndim}i", magic, *values.shape)
            path = folder / f"{prefix}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + values.tobytes(), 1))


def bare_loop(chosen: dict[str, Any], max_steps: int | None = None) -> float:
    """Images a second of one epoch, or of `max_steps`, and the validation after it."""
    import torch
    from hydra.utils import instantiate

    from convlab.models import saved

    data = instantiate(chosen["data"]["module"], _convert_="all")
    loader, validation = data.train_dataloader(), data.val_dataloader()
    steps = min(len(loader), max_steps or math.inf)
    network = saved.build(chosen["model"]).train()
    optimizer = instantiate(chosen["optimizer"])(network.parameters())
    schedule = instantiate(chosen["scheduler"]["factory"])(optimizer, total_steps=len(loader))
    seen = 0
    start = time.perf_counter()
    for step, (inputs, labels) in enumerate(loader, start=1):
        loss = torch.nn.functional.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        seen += len(labels)
        if step == steps:
            break
    network.eval()
    with torch.inference_mode():
        for inputs, _ in validation:
            network(inputs)
    return seen / (time.perf_counter() - start)


def ours(chosen: dict[str, Any], folder: Path) -> float:
    """Images a second of one epoch with its validation, metrics, checkpoints and records."""
    from convlab.runs.run import Run
    from convlab.training.train import train

    run_dir = folder / "run"
    train(chosen, run_dir)
    return (NUM_IMAGES - NUM_VAL) / Run(run_dir).state["seconds"]


if __name__ == "__main__":
    main()
