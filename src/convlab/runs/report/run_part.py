"""The page's part about one run, as the values that `run.html.jinja` shows."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from convlab.figures import plots
from convlab.figures.reliability import reliability
from convlab.runs.report import coverage, links, thresholds
from convlab.runs.report.classes import by_class, commonest
from convlab.runs.report.pictures import Pictures
from convlab.runs.report.reliability import bins
from convlab.runs.report.svg import svg
from convlab.runs.run import Run

NUM_CONFUSIONS = 5
NUM_MISTAKES = 12  # two rows of a page
HASHES = ("config_hash", "data_hash", "backbone_hash", "weights_hash")


def values(run: Run, anchor: str, pictures: Pictures) -> dict[str, Any]:
    """anchor: of the part, and the beginning of every id in it."""
    settings = run.directory / "config.yaml"
    answered = _answered(run, anchor) if run.predictions is not None else None
    gallery = run.directory / "mistakes.png"
    return {
        "name": run.name,
        "anchor": anchor,
        "test": run.metrics["test"],
        "curves": svg(plots.curves(run.history), f"{anchor}c") if run.history else None,
        "answered": answered,
        "mistakes": pictures.add(gallery) if gallery.is_file() and _pictureless(run) else None,
        "inside": _inside(run.directory / "visualize", pictures),
        "lineage": {name: run.lineage[name] for name in HASHES if run.lineage.get(name)},
        "substitutes": run.substitutes,
        "commands": run.commands,
        "config": settings.read_text() if settings.is_file() else None,
    }


def _answered(run: Run, anchor: str) -> dict[str, Any]:
    """What follows from the predictions."""
    assert run.predictions is not None
    labels, probabilities = run.predictions
    confusion = np.zeros((len(run.classes), len(run.classes)), dtype=np.int64)
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    found = bins(labels, probabilities)
    error = run.metric("test/ece")
    title = f"Calibration error {100 * error:.2f} %" if error == error else "Confidence and accuracy"
    diagram = reliability(found.counts, found.accuracy, found.confidence, title)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return {
        "confusion": _matrix(run, confusion),
        "right": int(confusion.trace()),
        "total": len(labels),
        "num_wrong": len(wrong),
        "confusions": [
            (run.classes[row], run.classes[column], count, _cell(run, row, column))
            for row, column, count in commonest(confusion, NUM_CONFUSIONS)
        ],
        "reliability": svg(diagram, f"{anchor}r"),
        "coverage": coverage.curve(thresholds.points(labels, probabilities)),
        "by_class": by_class(confusion, run.classes),
        "worst": _worst(run, wrong),
        "images": links.images(run.name),
        "wrong": links.images(run.name, answer="wrong", order="sure"),
    }


def _matrix(run: Run, confusion: np.ndarray) -> dict[str, Any]:
    """Of each row the cells: number, strength from 0 to 1, and address; strength as `plots` has it."""
    strength = np.sqrt(confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1))
    cells = [
        (int(row), int(column), int(confusion[row, column]), float(strength[row, column]))
        for row, column in np.argwhere(confusion)
    ]
    return {
        "numbered": len(run.classes) <= plots.MAX_NUMBERED,
        "classes": run.classes,
        "cells": {
            (row, column): {"count": count, "strength": strong, "link": _cell(run, row, column)}
            for row, column, count, strong in cells
        },
    }


def _cell(run: Run, row: int, column: int) -> str:
    return links.images(run.name, true_class=run.classes[row], predicted=run.classes[column])


def _worst(run: Run, wrong: np.ndarray) -> list[int]:
    """The surest mistakes, as places among the test images."""
    if run.predictions is None or _pictureless(run):
        return []
    sure = run.predictions[1][wrong].max(axis=1)
    return [int(each) for each in wrong[np.argsort(-sure, kind="stable")][:NUM_MISTAKES]]


def _pictureless(run: Run) -> bool:
    """Evaluated by an earlier version: its mistakes are one picture."""
    return run.predictions is None or run.test_images is None


def _inside(directory: Path, pictures: Pictures) -> list[tuple[str, str]]:
    """Title and address of the pictures that `convlab visualize` wrote for the report, if it did."""
    path = directory / "visualize.json"
    listed = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.is_file() else []
    shown = [each for each in listed if each.get("report", True) and (directory / each["file"]).is_file()]
    return [(each["title"], pictures.add(directory / each["file"])) for each in shown]
