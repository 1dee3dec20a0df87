"""A run's `visualize/`: pictures, and visualize.json, which says what they show."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from convlab.base.console import console
from convlab.models import legacy as runs

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


def log(run_dir: Path, directory: Path) -> None:
    """Copy the pictures in `directory` into the run's MLflow record, under `figures/`, where it has one."""
    noted = runs.read_state(run_dir).get("mlflow")
    if not noted:
        return
    from convlab.tracking import runs as tracking

    if not tracking.reopen(noted["run_id"]):
        console.print("The tracking database does not know this run: nothing is logged there.")
        return
    tracking.log_files(noted["run_id"], sorted(directory.iterdir()), "figures")
    tracking.end(noted["run_id"])


def rounded(value: float) -> float:
    """Six digits: a record should not tell processors apart."""
    return float(f"{value:.6g}")


def _json(record: dict[str, Any]) -> str:
    """Indented, with a list of plain values on one line."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"
