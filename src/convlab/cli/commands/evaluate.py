"""Measure a trained run on the official test split, which nothing else reads.

usage: convlab evaluate RUN... [--digest FILE]        RUN: a name under runs/, or a run's directory
       convlab evaluate RUN --on FOLDER [--out DIR]

Writes metrics.json (accuracy with its 95 % interval, loss, calibration error, accuracy by class),
predictions.npz (a probability for each class of each test image), images/ (where each test image lies, and
its thumbnail) and two pictures, confusion.png and mistakes.png, into the run's directory, and adds metrics
and pictures to the run's MLflow record. A run that kept a moving average of its weights is measured with
both: `test` is the average, `test_raw` the raw weights.

--on FOLDER measures the model on other photos, with the same figures: FOLDER has one sub-folder per class,
called as the run's classes. Photos of classes that the model does not know, files that can't be read, and
photos that the run learned from are counted and said. The results go to runs/<RUN>/on/<FOLDER's name>/,
or to --out DIR, which `convlab compare` takes; the run's own figures stay as they are.

--digest FILE writes the hashes of what a report reads of the run to FILE: a stage of dvc.yaml asks for it.

examples:
  convlab evaluate lenet
  convlab evaluate lenet lenet5 fully_connected
  convlab evaluate birds --on photos/new
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from convlab.base.console import console, warn

if TYPE_CHECKING:  # these import torch
    from convlab.prediction.on_folder import Scored
    from convlab.runs.run import Run

USES = {"train": "training", "val": "validation"}


def run(args: list[str]) -> int:
    """Evaluate each run named."""
    from convlab.base.errors import ConvlabError

    parser = argparse.ArgumentParser(prog="convlab evaluate", add_help=False)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--digest", type=Path)
    parser.add_argument("--on", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="DIR")
    options = parser.parse_args(args)
    if not options.runs:
        raise ConvlabError("which run? For instance: convlab evaluate lenet")
    if options.digest and len(options.runs) != 1:
        raise ConvlabError("--digest: it is of one run.")
    if options.on:
        return _evaluate_on(options)
    if options.out:
        raise ConvlabError(f"--out {options.out}: only with --on FOLDER.")

    from convlab.cli import measured
    from convlab.runs.run import Run
    from convlab.training.evaluation import evaluate

    found = [Run.find(name) for name in options.runs]
    for run in found:
        measured.say(run.name, evaluate(run.directory))
    if options.digest:
        from convlab.runs import digest

        digest.write(found[0], digest.evaluated(found[0]), options.digest)
    return 0


def _evaluate_on(options: argparse.Namespace) -> int:
    from convlab.base.errors import ConvlabError
    from convlab.cli import measured
    from convlab.prediction import on_folder
    from convlab.runs.run import Run

    if len(options.runs) != 1 or options.digest:
        raise ConvlabError("--on FOLDER: it goes with one run, and without --digest.")
    run = Run.find(options.runs[0])
    out = options.out or run.directory / "on" / options.on.resolve().name
    scored = on_folder.score(run, options.on)
    metrics = on_folder.write(run, options.on, scored, out)
    for note in _notes(run, scored):
        warn(note)
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "images", "accuracy %", "most often taken for"):
        table.add_column(heading, justify="right" if heading in ("images", "accuracy %") else "left")
    for row in _rows(scored):
        table.add_row(*map(escape, row))
    console.print(table)
    measured.say_one(f"{run.name} on {options.on}", metrics["test"])
    console.print(f"Figures and predictions: {out}", markup=False)
    return 0


def _notes(run: "Run", scored: "Scored") -> list[str]:
    """What a reader of the figures has to know."""
    notes = []
    if scored.seen:
        parts = " and ".join(f"{number:,} for {USES[split]}" for split, number in scored.seen.items())
        notes.append(f"{run.name} has had {parts} of these photos: its accuracy on them says little")
    if scored.unknown:
        listed = ", ".join(f"{name} ({number:,})" for name, number in scored.unknown.items())
        notes.append(f"not one of {run.name}'s classes, left out: {listed}")
    if absent := [name for name, each in scored.by_class().items() if not each["num_images"]]:
        notes.append(f"no photo of: {', '.join(absent)}")
    if scored.unusable:
        path, why = next(iter(scored.unusable.items()))
        notes.append(f"files that can't be used: {len(scored.unusable):,}, for instance {path}: {why}")
    return notes


def _rows(scored: "Scored") -> list[tuple[str, str, str, str]]:
    """A row for each class that has images, in the order of the classes."""
    rows = []
    for k, (name, counts) in enumerate(zip(scored.classes, scored.confusion, strict=True)):
        if not (number := int(counts.sum())):
            continue
        wrong = counts.copy()
        wrong[k] = 0
        worst = int(wrong.argmax())
        taken = f"{scored.classes[worst]} ({wrong[worst]:,})" if wrong[worst] else ""
        rows.append((name, f"{number:,}", f"{100 * counts[k] / number:.2f}", taken))
    return rows
