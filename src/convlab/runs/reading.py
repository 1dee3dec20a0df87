"""The files of a run's directory, checked as they are read: an error names the file and the way out."""

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from convlab.base.errors import ConvlabError
from convlab.base.trees import present_names

NEEDED = ("data", "model", "weights", "num_parameters", "per_class", "test")
NEEDED_OF_TEST = ("num_images", "acc", "acc_low", "acc_high")


def config(path: Path) -> dict[str, Any]:
    """The configuration in config.yaml, classes by their present names; {} where there is no file."""
    try:
        settings = yaml.safe_load(path.read_text()) if path.is_file() else {}
    except yaml.YAMLError as error:
        raise ConvlabError(f"{path} is not valid YAML ({error}). Train {path.parent.name} again.") from None
    return dict(present_names(settings or {}))


def history(path: Path) -> list[dict[str, float]]:
    """history.csv, a row per epoch, without the cells that are empty; [] where there is no file."""
    if not path.is_file():
        return []
    again = f"Train {path.parent.name} again."
    try:
        with path.open(newline="") as file:
            rows = [{key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]
    except (TypeError, ValueError) as error:
        raise ConvlabError(f"{path} is not a table of numbers ({error}). {again}") from None
    if any("epoch" not in row for row in rows):
        raise ConvlabError(f"{path} has rows without an epoch. {again}")
    return rows


def metrics(path: Path, remedy: str) -> dict[str, Any]:
    """metrics.json, after a check that what every table needs is there."""
    try:
        found = json.loads(path.read_text(), parse_constant=lambda _: None)  # NaN: unknown
    except FileNotFoundError:
        raise ConvlabError(f"{path} is missing. {remedy}") from None
    except ValueError as error:
        raise ConvlabError(f"{path} is not valid JSON ({error}). {remedy}") from None
    measured = found if isinstance(found, dict) else {}
    test = measured.get("test") if isinstance(measured.get("test"), dict) else {}
    absent = [key for key in NEEDED if key not in measured]
    absent += [f"test.{key}" for key in NEEDED_OF_TEST if key not in (test or {})]
    if absent:
        raise ConvlabError(f"{path} lacks {', '.join(absent)}. {remedy}")
    return dict(measured)


def predictions(
    path: Path, expected: tuple[int, int], remedy: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
    """Labels n and probabilities n k in predictions.npz, or None where it is missing.

    expected: n and k, as metrics.json says.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            labels, probabilities = arrays["labels"], arrays["probabilities"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConvlabError(f"{path} can't be read ({error}). {remedy}") from None
    if labels.shape != expected[:1] or probabilities.shape != expected:
        raise ConvlabError(
            f"{path}: expected predictions of {expected[0]} images and {expected[1]} classes, as "
            f"metrics.json says, found labels {labels.shape} and probabilities {probabilities.shape}. "
            f"{remedy}"
        )
    return labels, probabilities
