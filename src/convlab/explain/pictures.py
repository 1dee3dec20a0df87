"""A run's `visualize/`: pictures, and visualize.json, which says what they show."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from convlab.runs import recorder as recorders
from convlab.runs.run import Run

FORMAT = 1


class Pictures:
    """Figures by file name, and the record that goes with them.

    record: plain values for visualize.json. Its `figures` list each picture's file and title, and whether
    the comparison report shows it.
    """

    def __init__(self, **facts: Any) -> None:
        self.figures: dict[str, Figure] = {}
        self.record: dict[str, Any] = {"format": FORMAT, **facts, "figures": []}

    def add(self, file: str, figure: Figure, title: str, report: bool = True) -> None:
        self.figures[file] = figure
        self.record["figures"].append({"file": file, "title": title, "report": report})

    def write(self, directory: Path) -> None:
        """Make `directory` hold these pictures and visualize.json, and nothing else."""
        partial = directory.with_name(f".{directory.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            for name, figure in self.figures.items():
                figure.savefig(partial / name)
            (partial / "visualize.json").write_text(_json(self.record))
            shutil.rmtree(directory, ignore_errors=True)
            partial.rename(directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def log(run: Run, directory: Path) -> None:
    """Add the pictures in `directory` to the run's record, where it has one."""
    recorders.of(run.config.get("logger")).shown(run, sorted(directory.iterdir()))


def rounded(value: float) -> float:
    """Six digits: a record should not tell processors apart."""
    return float(f"{value:.6g}")


def _json(record: dict[str, Any]) -> str:
    """Indented, with a list of plain values on one line."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"
