"""Measure a trained run on the official test split, which nothing else reads.

usage: convlab evaluate RUN...        RUN: a name under runs/, or a run's directory

Writes metrics.json (accuracy with its 95 % interval, loss, calibration error, accuracy by class),
predictions.npz (a probability for each class of each test image) and two pictures, confusion.png and
mistakes.png, into the run's directory, and adds them to the run's MLflow record. A run that kept a
moving average of its weights is measured with both: `test` is the average, `test_raw` the raw weights.

examples:
  convlab evaluate lenet
  convlab evaluate lenet lenet5 fully_connected
"""

import argparse
from pathlib import Path
from typing import Any

from convlab.base.console import console


def run(args: list[str]) -> int:
    """Evaluate each run named."""
    from convlab.base.errors import ConvlabError

    parser = argparse.ArgumentParser(prog="convlab evaluate", add_help=False)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    names = parser.parse_args(args).runs
    if not names:
        raise ConvlabError("which run? For instance: convlab evaluate lenet")

    from convlab.runs import run as runs
    from convlab.training.evaluation import evaluate

    for directory in [runs.run_dir(name) for name in names]:
        _report(directory, evaluate(directory))
    return 0


def _report(directory: Path, metrics: dict[str, Any]) -> None:
    for label, part in (("test", metrics["test"]), ("raw weights", metrics.get("test_raw"))):
        if part:
            console.print(
                f"{directory.name}, {label}: {part['acc']:.2%} of {part['num_images']:,} images "
                f"(95 % interval {part['acc_low']:.2%} to {part['acc_high']:.2%}), loss {part['loss']:.4f}",
                markup=False,
            )
