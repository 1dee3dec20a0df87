"""What the benchmark programs share: one table on the screen, one entry in results.json."""

import json
import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.table import Table

from convlab.base.console import console

RESULTS = Path(__file__).with_name("results.json")
PACKAGES = (
    "torch",
    "timm",
    "pytorch-lightning",
    "onnxruntime",
    "openvino",
    "mlflow",
    "dvc",
    "numpy",
    "pillow",
)
GOAL = re.compile(r"(?P<operator>>=|<=|<) (?P<bound>[\d.]+)")


@dataclass(frozen=True)
class Figure:
    """One measured quantity.

    values: one a repetition; the table shows their median and range.
    goal: ">= 2.0", "<= 1.5" or "< 3" for the median; "" where there is none.
    """

    name: str
    values: Sequence[float]
    unit: str = ""
    goal: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal; None where there is none."""
        if not self.goal:
            return None
        goal = GOAL.fullmatch(self.goal)
        if goal is None:
            raise ValueError(f"goal {self.goal!r}: expected for instance '>= 2.0'")
        bound = float(goal["bound"])
        return {">=": self.median >= bound, "<=": self.median <= bound, "<": self.median < bound}[
            goal["operator"]
        ]


def record(
    program: str,
    title: str,
    figures: Sequence[Figure],
    *,
    peer: str,
    warm_up: str,
    repetitions: str,
    data: dict[str, Any] | None = None,
) -> None:
    """Print `figures` beside their goals, and put them into results.json in place of the program's last ones.

    `peer`, `warm_up` and `repetitions` say in words what was compared and how; `data` is kept for plots.
    """
    table = Table("", "median", "range", "goal", "", title=title)
    for figure in figures:
        spread = (
            f"{number(min(figure.values))} to {number(max(figure.values))}" if len(figure.values) > 1 else ""
        )
        verdict = {None: "", True: "met", False: "missed"}[figure.met]
        table.add_row(
            figure.name,
            f"{number(figure.median)} {figure.unit}",
            spread if len(figure.values) > 1 else "",
            figure.goal,
            verdict,
        )
    console.print(table)
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results[program] = {
        "title": title,
        "peer": peer,
        "warm_up": warm_up,
        "repetitions": repetitions,
        "measured": date.today().isoformat(),
        "machine": machine(),
        "figures": [
            {
                "name": figure.name,
                "values": [float(f"{value:.5g}") for value in figure.values],
                "median": float(f"{figure.median:.5g}"),
                "unit": figure.unit,
                "goal": figure.goal,
                "met": figure.met,
            }
            for figure in figures
        ],
        "data": data or {},
    }
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")


def number(value: float) -> str:
    """Three significant digits, whole above a hundred; four for accuracies near it."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 98 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """Processor, cores, threads, system and the packages that matter."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.is_file() else []
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := installed_version(name))},
    }


def installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
