"""What evaluated runs left behind, as the report reads it.

run.json decides nothing here: what is shown must be the same wherever a run's outputs are restored to.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.runs.metrics import SHOWN
from convlab.runs.run import Run


def find(names: Iterable[str]) -> list[Path]:
    """Run directories by name under `runs/` or by path; without names every evaluated run, by name.

    Raises ConvlabError when there is none, or for a name without a run.
    """
    chosen = list(names)
    if chosen:
        return list(dict.fromkeys(Run.find(name).directory.resolve() for name in chosen))
    runs_dir = project_dir() / "runs"
    found = sorted(path.parent for path in runs_dir.glob("*/metrics.json"))
    if not found:
        raise ConvlabError(
            f"nothing to compare: no metrics.json under {runs_dir}. `convlab train experiment=<name>` "
            "trains a run, `convlab evaluate <name>` measures it."
        )
    return found


def read(directories: Iterable[Path]) -> list[Run]:
    """The runs in `directories`, called by directory name, or by the last two where that is ambiguous.

    Raises ConvlabError for one that has not been evaluated.
    """
    folders = [directory.resolve() for directory in directories]
    names = [folder.name for folder in folders]
    found = [
        Run(folder, None if names.count(name) == 1 else f"{folder.parent.name}/{name}")
        for folder, name in zip(folders, names, strict=True)
    ]
    for run in found:
        _ = run.metrics  # read now: an error names the run before anything is shown
    return found


def row(run: Run) -> dict[str, Any]:
    """What tables show: metrics in `section/key` names, shares from 0 to 1, None where unknown."""
    last = run.history[-1] if run.history else {}
    return {
        "name": run.name,
        "data": run.data,
        "model": run.metrics["model"],
        **{name: _finite(run.metric(name)) for name in SHOWN},
        "test/num_images": run.metrics["test"]["num_images"],
        "weights": run.metrics["weights"],
        "num_parameters": run.metrics["num_parameters"],
        "epochs": int(last["epoch"]) if last else None,
        "substitutes": run.substitutes,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
