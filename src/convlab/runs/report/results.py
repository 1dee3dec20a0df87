"""What evaluated runs left behind: their metrics, history, predictions and configuration.

Reads the files of `runs.py`'s contract that training and evaluation write, less run.json: what is shown
here must be the same wherever a run's outputs are restored to. Imports neither torch nor matplotlib: a table
should take no longer than reading it.
"""

import csv
import json
import math
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.runs import run as runs

SHOWN = (
    *("test/acc", "test/acc_low", "test/acc_high", "test/loss", "test/ece"),
    *("test_raw/acc", "val/acc", "val/loss"),
)
NEEDED = ("data", "model", "weights", "num_parameters", "per_class", "test")
NEEDED_OF_TEST = ("num_images", "acc", "acc_low", "acc_high")


@dataclass(frozen=True)
class Run:
    """One evaluated run; `name` is its directory's, `metrics` what its metrics.json holds."""

    name: str
    directory: Path
    metrics: dict[str, Any]

    @property
    def data(self) -> str:
        return str(self.metrics["data"])

    @property
    def lineage(self) -> dict[str, Any]:
        return dict(self.metrics.get("lineage") or {})

    @property
    def substitutes(self) -> list[str]:
        """Inputs that are not the published ones, each in words."""
        return [str(words) for words in self.lineage.get("substitutes") or []]

    def metric(self, name: str) -> float:
        """A metric by its `section/key`; not a number where the run has none."""
        section, key = name.split("/")
        value = (self.metrics.get(section) or {}).get(key)
        return math.nan if value is None else float(value)

    @property
    def seconds(self) -> float | None:
        """Training time, validation included, from run.json; it differs between equal runs."""
        path = self.directory / "run.json"
        seconds = json.loads(path.read_text()).get("seconds") if path.is_file() else None
        return None if seconds is None else float(seconds)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration in config.yaml; {} where there is no file."""
        path = self.directory / "config.yaml"
        try:
            settings = yaml.safe_load(path.read_text()) if path.is_file() else {}
        except yaml.YAMLError as error:
            raise ConvlabError(f"{path} is not valid YAML ({error}). Train {self.name} again.") from None
        return dict(settings or {})

    @cached_property
    def settings(self) -> dict[str, str]:
        """The configuration's leaves by their dotted paths, as text."""
        leaves = runs.flat(self.config)
        return {
            name: leaf if isinstance(leaf, str) else json.dumps(leaf, default=str)
            for name, leaf in leaves.items()
        }

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """history.csv, one row an epoch, without the cells that are empty; [] where there is no file."""
        path = self.directory / "history.csv"
        if not path.is_file():
            return []
        try:
            with path.open(newline="") as file:
                rows = [
                    {key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)
                ]
        except (TypeError, ValueError) as error:
            raise ConvlabError(
                f"{path} is not a table of numbers ({error}). Train {self.name} again."
            ) from None
        if any("epoch" not in row for row in rows):
            raise ConvlabError(f"{path} has rows without an epoch. Train {self.name} again.")
        return rows

    @cached_property
    def predictions(self) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """Labels n and probabilities n k of the test split, or None where predictions.npz is missing."""
        path = self.directory / "predictions.npz"
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                labels, probabilities = arrays["labels"], arrays["probabilities"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConvlabError(f"{path} can't be read ({error}). {remedy(self.directory)}") from None
        expected = (self.metrics["test"]["num_images"], len(self.metrics["per_class"]))
        if labels.shape != expected[:1] or probabilities.shape != expected:
            raise ConvlabError(
                f"{path}: expected predictions of {expected[0]} images and {expected[1]} classes, as "
                f"metrics.json says, found labels {labels.shape} and probabilities {probabilities.shape}. "
                f"{remedy(self.directory)}"
            )
        return labels, probabilities

    @property
    def classes(self) -> list[str]:
        return list(self.metrics["per_class"])

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """Counts k k of the test split, row: true class, column: predicted; None without predictions."""
        if self.predictions is None:
            return None
        labels, probabilities = self.predictions
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
        return counts

    def row(self) -> dict[str, Any]:
        """What tables show: metrics in `section/key` names, shares from 0 to 1, None where unknown."""
        last = self.history[-1] if self.history else {}
        return {
            "name": self.name,
            "data": self.data,
            "model": self.metrics["model"],
            **{name: _finite(self.metric(name)) for name in SHOWN},
            "test/num_images": self.metrics["test"]["num_images"],
            "weights": self.metrics["weights"],
            "num_parameters": self.metrics["num_parameters"],
            "epochs": int(last["epoch"]) if last else None,
            "substitutes": self.substitutes,
        }


def find(names: Iterable[str]) -> list[Path]:
    """Run directories by name under `runs/` or by path; without names every evaluated run, by name.

    Raises ConvlabError when there is none, or for a name without a directory.
    """
    runs_dir = project_dir() / "runs"
    chosen = list(names)
    if not chosen:
        found = sorted(path.parent for path in runs_dir.glob("*/metrics.json"))
        if not found:
            raise ConvlabError(
                f"nothing to compare: no metrics.json under {runs_dir}. `convlab train experiment=<name>` "
                "trains a run, `convlab evaluate <name>` measures it."
            )
        return found
    found = []
    for name in chosen:
        candidates = [path for path in (runs_dir / name, Path(name)) if path.is_dir()]
        if not candidates:
            known = ", ".join(sorted(path.parent.name for path in runs_dir.glob("*/metrics.json")))
            raise ConvlabError(
                f"there is no run '{name}', neither under {runs_dir} nor as a path. "
                f"Evaluated: {known or 'none'}."
            )
        found.append(candidates[0].resolve())
    return list(dict.fromkeys(found))


def read(directories: Iterable[Path]) -> list[Run]:
    """The runs in `directories`, called by directory name, or by the last two where that is ambiguous."""
    folders = [directory.resolve() for directory in directories]
    names = [folder.name for folder in folders]
    return [
        Run(name if names.count(name) == 1 else f"{folder.parent.name}/{name}", folder, _read_metrics(folder))
        for folder, name in zip(folders, names, strict=True)
    ]


def _read_metrics(directory: Path) -> dict[str, Any]:
    """metrics.json, after a check that what every table needs is there."""
    path = directory / "metrics.json"
    try:
        metrics = json.loads(path.read_text(), parse_constant=lambda _: None)  # NaN: unknown
    except FileNotFoundError:
        raise ConvlabError(f"{path} is missing. {remedy(directory)}") from None
    except ValueError as error:
        raise ConvlabError(f"{path} is not valid JSON ({error}). {remedy(directory)}") from None
    found = metrics if isinstance(metrics, dict) else {}
    test = found.get("test") if isinstance(found.get("test"), dict) else {}
    absent = [key for key in NEEDED if key not in found]
    absent += [f"test.{key}" for key in NEEDED_OF_TEST if key not in (test or {})]
    if absent:
        raise ConvlabError(f"{path} lacks {', '.join(absent)}. {remedy(directory)}")
    return dict(found)


def remedy(directory: Path) -> str:
    """The way out when an evaluation's file is missing or broken, as a sentence."""
    return f"`convlab evaluate {argument(directory)}` writes it."


def argument(directory: Path) -> str:
    """What names a run on the command line: its name if under `runs/`, else its path from the root."""
    directory, root = directory.resolve(), project_dir().resolve()
    if directory.parent == root / "runs":
        return directory.name
    return str(directory.relative_to(root) if directory.is_relative_to(root) else directory)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
