"""Seconds from the start of a process to a trained network that is right on 99 % of MNIST's test images.

usage: .venv/bin/python benchmarks/bench_mnist.py [--seeds 5] [--peer-seeds 1] [--best-seeds 0]

Peer: the training procedure of PyTorch's MNIST example (peers/pytorch_mnist_example.py), which stops after
the first epoch at 99.0 %. Ours: `convlab train`, whole processes, MLflow included, with a fixed number of
steps; the test images are measured afterwards, by `convlab evaluate`, untimed. Then `lenet_best`: how good it
gets, and how long it takes. Needs datasets/mnist (`convlab fetch mnist`).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import Figure, record

from convlab.base.console import console

ROOT = Path(__file__).parents[1]
PEER = Path(__file__).with_name("peers") / "pytorch_mnist_example.py"
# the course's network as it is, trained as `lenet_fast` is, with the schedule that `lenet` has
COURSE = (
    *("trainer.max_epochs=-1", "+trainer.max_steps=560", "batch_size=64", "channels_last=true"),
    *("loss.label_smoothing=0.1", "optimizer.weight_decay=0.0005"),
    *("checkpoint.monitor=null", "+trainer.limit_val_batches=0"),
)
CONVLAB = [sys.executable, "-m", "convlab"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer-seeds", type=int, default=1)
    parser.add_argument("--best-seeds", type=int, default=0, help="of lenet_best, six minutes each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = prepare(Path(folder))
        peers, fast, course = [], [], []
        for seed in range(1, max(options.seeds, options.peer_seeds) + 1):  # in turn: a machine's speed drifts
            if seed <= options.peer_seeds:
                peers.append(run_peer(project, seed))
            if seed <= options.seeds:
                fast.append(trained(project, "lenet_fast", seed))
                course.append(trained(project, "lenet", seed, *COURSE))
        best = [trained(project, "lenet_best", seed) for seed in range(1, options.best_seeds + 1)]
    peer, epochs = zip(*peers, strict=True)
    figures = [Figure("PyTorch's example, to 99.0 %", peer, "s")]
    for name, runs, goal in (("lenet_fast", fast, ">= 40"), ("lenet, 0.65 epochs", course, ">= 10")):
        seconds, accuracies = zip(*runs, strict=True)
        ratios = [median(peer) / each for each in seconds]
        figures += [
            Figure(f"{name}: whole process", seconds, "s"),
            Figure(f"{name}: test accuracy", [100 * each for each in accuracies], "%", ">= 99.0"),
            Figure(f"{name}: times faster than the example", ratios, "times", goal),
        ]
    record(
        "bench_mnist",
        "MNIST: time to 99 % of the official test images",
        figures,
        peer="the training procedure of github.com/pytorch/examples, mnist/main.py",
        warm_up="one training of a few steps, which also makes the tracking database",
        repetitions=f"seeds 1 to {options.seeds}, the peer's 1 to {options.peer_seeds}, in turn; medians",
        data={"peer_accuracy_after_each_epoch": epochs},
    )
    if best:
        record_best(best)


def record_best(best: list[tuple[float, float]]) -> None:
    """Apart from the rest, so that a shorter run leaves it in results.json."""
    seconds, accuracies = zip(*best, strict=True)
    mean = 100 * sum(accuracies) / len(accuracies)
    record(
        "bench_mnist_best",
        "MNIST: how good ten minutes get",
        [
            Figure("lenet_best: test accuracy, mean over the seeds", [mean], "%", ">= 99.70"),
            Figure("lenet_best: test accuracy", [100 * each for each in accuracies], "%"),
            Figure("lenet_best: whole process, the slowest seed", [max(seconds)], "s", "<= 600"),
        ],
        peer="none",
        warm_up="none",
        repetitions=f"seeds 1 to {len(best)}",
    )


def prepare(folder: Path) -> Path:
    """A project of its own with the fetched archives, and torchvision's layout of them beside it."""
    project = folder / "project"
    shutil.copytree(ROOT / "conf", project / "conf")
    raw = folder / "torchvision" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (project / "datasets").mkdir()
    (project / "datasets" / "mnist").symlink_to(ROOT / "datasets" / "mnist")
    for archive in (ROOT / "datasets" / "mnist").glob("*.gz"):
        shutil.copy(archive, raw)
    convlab(project, "train", "experiment=lenet_fast", "trainer.max_steps=20")
    return project


def run_peer(project: Path, seed: int) -> tuple[float, list[float]]:
    """Wall seconds, and the test accuracy after each epoch."""
    start = time.perf_counter()
    command = [sys.executable, str(PEER), str(project.parent / "torchvision"), "--seed", str(seed)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - start
    accuracies = [float(line.split(": ")[1]) for line in printed.splitlines() if line.startswith("epoch")]
    console.print(f"example, seed {seed}: {len(accuracies)} epochs, {accuracies[-1]:.2%}, {seconds:.1f} s")
    return seconds, accuracies


def trained(project: Path, experiment: str, seed: int, *overrides: str) -> tuple[float, float]:
    """Wall seconds of `convlab train`, and the test accuracy that `convlab evaluate` then finds, untimed."""
    name = f"{experiment}_{seed}"
    words = (f"experiment={experiment}", f"seed={seed}", f"name={name}", "resume=never", *overrides)
    start = time.perf_counter()
    convlab(project, "train", *words)
    seconds = time.perf_counter() - start
    convlab(project, "evaluate", name)
    accuracy = json.loads((project / "runs" / name / "metrics.json").read_text())["test"]["acc"]
    console.print(f"{name}: {accuracy:.2%}, {seconds:.1f} s", markup=False)
    return seconds, accuracy


def convlab(project: Path, *words: str) -> None:
    env = os.environ | {"CONVLAB_PROJECT": str(project)}
    env.pop("MLFLOW_TRACKING_URI", None)
    subprocess.run([*CONVLAB, *words], cwd=project, env=env, check=True, capture_output=True)


def median(values: tuple[float, ...]) -> float:
    return Figure("", values).median


if __name__ == "__main__":
    main()
