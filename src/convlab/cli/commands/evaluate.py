"""Measure a trained run on the official test split, which nothing else reads.

usage: convlab evaluate RUN... [--digest FILE]        RUN: a name under runs/, or a run's directory

Writes metrics.json (accuracy with its 95 % interval, loss, calibration error, accuracy by class),
predictions.npz (a probability for each class of each test image) and two pictures, confusion.png and
mistakes.png, into the run's directory, and adds them to the run's MLflow record. A run that kept a
moving average of its weights is measured with both: `test` is the average, `test_raw` the raw weights.

--digest FILE writes the hashes of what a report reads of the run to FILE: a stage of dvc.yaml asks for it.

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
    parser.add_argument("--digest", type=Path)
    options = parser.parse_args(args)
    if not options.runs:
        raise ConvlabError("which run? For instance: convlab evaluate lenet")
    if options.digest and len(options.runs) != 1:
        raise ConvlabError("--digest: it is of one run.")

    from convlab.runs.run import Run
    from convlab.training.evaluation import evaluate

    found = [Run.find(name) for name in options.runs]
    for run in found:
        _report(run.directory, evaluate(run.directory))
    if options.digest:
        from convlab.runs import digest

        digest.write(found[0], [found[0].directory / name for name in digest.EVALUATED], options.digest)
    return 0


def _report(directory: Path, metrics: dict[str, Any]) -> None:
    for label, part in (("test", metrics["test"]), ("raw weights", metrics.get("test_raw"))):
        if part:
            console.print(
                f"{directory.name}, {label}: {part['acc']:.2%} of {part['num_images']:,} images "
                f"(95 % interval {part['acc_low']:.2%} to {part['acc_high']:.2%}), loss {part['loss']:.4f}",
                markup=False,
            )
