"""A run's directory: what it holds, wherever one is read or written.

runs/<name>/
  config.yaml             the resolved configuration
  model/                  predicts on its own, also when moved to another machine (models/saved.py)
  history.csv             a row per epoch
  curves.png  confusion.png  mistakes.png
  metrics.json            the official test split, measured (written by `evaluate`)
  predictions.npz         labels n, probabilities n k of the test split
  images/                 where each test image lies, and thumbnails (runs/test_images.py)
  visualize/              pictures of what the network learned, and visualize.json (written by `visualize`)
  checkpoints/            best.ckpt and last.ckpt, to resume from
  unsent.jsonl            what the tracking server has not been told yet (tracking/outbox.py), if anything
  run.json                when, where and how far: the only file that differs between equal runs

Reads without torch or Matplotlib: a table should take no longer than reading it.
"""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convlab.base import shell
from convlab.base.errors import ConvlabError
from convlab.base.files import write_json
from convlab.base.project import project_dir
from convlab.base.trees import flat
from convlab.runs import model_file, reading, test_images
from convlab.runs.model_file import ModelFile
from convlab.runs.test_images import TestImages

if TYPE_CHECKING:  # torch is imported where data is
    from convlab.data.labelled import LabelledData


@dataclass(frozen=True)
class Run:
    """One run by its directory. label: what tables call it; None: the directory's name."""

    directory: Path
    label: str | None = None

    @classmethod
    def find(cls, name: str) -> "Run":
        """The run called `name` under `runs/`, or whose directory `name` is.

        Raises ConvlabError, with the runs there are, when there is no such run.
        """
        for candidate in (project_dir() / "runs" / name, Path(name)):
            if any((candidate / file).is_file() for file in ("config.yaml", "metrics.json")):
                return cls(candidate)
        raise ConvlabError(
            f"there is no run '{name}'. Runs: {', '.join(names()) or 'none yet'}. `convlab train` makes one."
        )

    @property
    def name(self) -> str:
        return self.label or self.directory.name

    @property
    def argument(self) -> str:
        """What names the run on the command line: its name if under `runs/`, else its path from the root."""
        directory = self.directory.resolve()
        try:
            root = project_dir().resolve()
        except ConvlabError:  # a champion that is served where there is no project
            return str(directory)
        if directory.parent == root / "runs":
            return directory.name
        return str(directory.relative_to(root) if directory.is_relative_to(root) else directory)

    @property
    def remedy(self) -> str:
        """The way out when a file of its evaluation is missing or broken, as a sentence."""
        return f"`{shell.join(['convlab', 'evaluate', self.argument])}` writes it."

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration in config.yaml; {} where there is no file."""
        return reading.config(self.directory / "config.yaml")

    @property
    def settings(self) -> dict[str, str]:
        """The configuration's leaves by their dotted paths, as text."""
        leaves = flat(self.config)
        return {
            name: leaf if isinstance(leaf, str) else json.dumps(leaf, default=str)
            for name, leaf in leaves.items()
        }

    def data_module(self) -> "LabelledData":
        """The data that the run was trained on, as its configuration has it."""
        from convlab.base.parts import instantiate

        if not self.config:
            raise ConvlabError(f"{self.directory / 'config.yaml'} is missing. Train {self.name} again.")
        data: LabelledData = instantiate(self.config["data"]["module"], "data.module")
        return data

    @property
    def model_dir(self) -> Path:
        return self.directory / "model"

    @property
    def model_file(self) -> ModelFile:
        """What model/model.json says; raises ConvlabError where training has not finished."""
        return model_file.read(self.model_dir)

    @property
    def state(self) -> dict[str, Any]:
        """`run.json`, or an empty dict where a run has not begun."""
        path = self.directory / "run.json"
        state: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return state

    def update_state(self, **facts: Any) -> None:
        """Merge `facts` into `run.json`."""
        write_json(self.directory / "run.json", self.state | facts)

    @property
    def commands(self) -> list[str]:
        """What repeats it: the command that trained it, if run.json has it, and the one that measures it."""
        trained = self.state.get("command")
        return [*([str(trained)] if trained else []), shell.join(["convlab", "evaluate", self.argument])]

    @property
    def seconds(self) -> float | None:
        """Training time, validation included; it differs between equal runs."""
        seconds = self.state.get("seconds")
        return None if seconds is None else float(seconds)

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """history.csv, a row per epoch, without the cells that are empty; [] where there is no file."""
        return reading.history(self.directory / "history.csv")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics.json; raises ConvlabError where it is missing or lacks what every table needs."""
        return reading.metrics(self.directory / "metrics.json", self.remedy)

    @property
    def data(self) -> str:
        """The data set's name."""
        return str(self.metrics["data"])

    @property
    def classes(self) -> list[str]:
        return list(self.metrics["per_class"])

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

    @cached_property
    def predictions(self) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """Labels n and probabilities n k of the test split, or None where predictions.npz is missing."""
        expected = (self.metrics["test"]["num_images"], len(self.classes))
        return reading.predictions(self.directory / "predictions.npz", expected, self.remedy)

    @cached_property
    def test_images(self) -> TestImages | None:
        """Paths and thumbnails of the test split, or None where an earlier version evaluated it."""
        return test_images.read(self.directory, self.metrics["test"]["num_images"], self.remedy)

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """Counts k k of the test split, row: true class, column: predicted; None without predictions."""
        if self.predictions is None:
            return None
        labels, probabilities = self.predictions
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
        return counts


def names() -> list[str]:
    """The runs under `runs/`, in alphabetical order."""
    return sorted(path.parent.name for path in (project_dir() / "runs").glob("*/config.yaml"))
