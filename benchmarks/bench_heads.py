"""A linear head on 10,000 cached vectors, 4,000 steps of 100: `convlab train` against a bare loop.

usage: .venv/bin/python benchmarks/bench_heads.py [--repeat 3]

Peer: the same layer, optimizer, schedule and batches in a plain PyTorch loop over the same memory-mapped
`vectors.npy`, in the same process. It computes no metrics, validates nothing and keeps nothing. Each
repetition measures both, in turn. The vectors are random; the arithmetic is the same as for real ones.
"""

import argparse
import csv
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from record import Figure, record

from convlab.base import config

TRAIN, VAL, TEST = 10_000, 1000, 100  # vectors
DIM, CLASSES = 2048, 5
BATCH, EPOCHS = 100, 40
STEPS = EPOCHS * TRAIN // BATCH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_features(Path(folder))
        overrides = ["experiment=linear_head", f"trainer.max_epochs={EPOCHS}", f"batch_size={BATCH}"]
        overrides += [f"data.module.dir={folder}", "logger=none", "resume=never", "name=bench_heads"]
        settings = config.plain(config.compose("train", overrides))
        bare_loop(settings, STEPS // 10)
        pairs = [(bare_loop(settings, STEPS), *ours(settings, Path(folder))) for _ in range(options.repeat)]
    bare, trained, whole = zip(*pairs, strict=True)
    record(
        "bench_heads",
        "linear head on 10,000 cached vectors, 4,000 steps of 100",
        [
            Figure(
                "training time, times the bare loop's",
                [ours / peer for peer, ours, _ in pairs],
                "",
                "<= 1.5",
            ),
            Figure("bare loop", bare, "s"),
            Figure("convlab train, from the first step to the end", trained, "s"),
            Figure("convlab train, with loading, model, report", whole, "s"),
        ],
        peer="a plain PyTorch loop over the same memory-mapped vectors",
        warm_up=f"{STEPS // 10} steps of the bare loop",
        repetitions=f"{options.repeat}, in turn, in one process",
        data={"num_steps": STEPS, "bare_s": statistics.median(bare), "convlab_s": statistics.median(trained)},
    )


def write_features(folder: Path) -> None:
    """What `convlab features` would write, with random vectors."""
    random = np.random.default_rng(0)
    splits = random.permutation(["train"] * TRAIN + ["val"] * VAL + ["test"] * TEST)
    labels = random.integers(0, CLASSES, len(splits))
    centers = random.standard_normal((CLASSES, DIM), dtype=np.float32) / 8
    np.save(
        folder / "vectors.npy", random.standard_normal((len(splits), DIM), dtype=np.float32) + centers[labels]
    )
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["content_hash", "path", "class", "label", "split"])
        writer.writerows(
            (f"{i:064x}", f"class{label}/{i}.jpg", f"class{label}", label, split)
            for i, (label, split) in enumerate(zip(labels, splits, strict=True))
        )
    meta = {
        "classes": [f"class{label}" for label in range(CLASSES)],
        "preprocessing": {"size": 299, "channels": 3, "pixel_mean": [128], "pixel_std": [128]},
        "data_hash": "0" * 64,
        "substitutes": [],
        "backbone": {"weights_hash": "0" * 64},
    }
    (folder / "meta.json").write_text(json.dumps(meta))


def bare_loop(settings: dict, num_steps: int) -> float:
    """Seconds."""
    import torch
    from hydra.utils import instantiate

    folder = Path(settings["data"]["module"]["dir"])
    with (folder / "index.csv").open(newline="") as file:
        rows = [
            (i, int(row["label"])) for i, row in enumerate(csv.DictReader(file)) if row["split"] == "train"
        ]
    places, labels = np.array([i for i, _ in rows]), torch.tensor([label for _, label in rows])
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    torch.manual_seed(settings["seed"])
    layer = torch.nn.Linear(DIM, CLASSES)
    optimizer = instantiate(settings["optimizer"])(layer.parameters())
    schedule = instantiate(settings["scheduler"]["factory"])(optimizer, total_steps=num_steps + 1)
    loss, step = torch.nn.CrossEntropyLoss(), 0
    start = time.perf_counter()
    while step < num_steps:
        for chunk in torch.randperm(TRAIN).split(BATCH):
            inputs = torch.from_numpy(vectors[places[chunk.numpy()]])
            optimizer.zero_grad()
            loss(layer(inputs), labels[chunk]).backward()
            optimizer.step()
            schedule.step()
            step += 1
    return time.perf_counter() - start


def ours(settings: dict, folder: Path) -> tuple[float, float]:
    """Seconds of training as the run itself notes them, validation included; and of the whole run."""
    from convlab.runs.run import Run
    from convlab.training.train import train

    start = time.perf_counter()
    train(settings, folder / "run")
    return Run(folder / "run").state["seconds"], time.perf_counter() - start


if __name__ == "__main__":
    main()
