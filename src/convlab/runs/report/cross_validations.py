"""Cross-validated experiments side by side: their means and intervals, and whether the best two differ."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtr

from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.runs.report.comparison import SIGNIFICANCE, p_text

NUMBERS = ("num_images", "folds", "acc", "loss")


@dataclass(frozen=True)
class CrossValidation:
    """One cross-validated experiment; `result` is what its cv.json holds."""

    name: str
    result: dict[str, Any]

    @property
    def data(self) -> str:
        return str(self.result["data"])

    def by_fold(self) -> list[float]:
        """Accuracy in each fold, the mean over its seeds."""
        jobs, folds = self.result["jobs"], range(1, self.result["folds"] + 1)
        return [float(np.mean([job["acc"] for job in jobs if job["fold"] == fold])) for fold in folds]

    def row(self) -> dict[str, Any]:
        """What tables show: shares from 0 to 1, None where unknown."""
        acc = self.result["acc"]
        return {
            "name": self.name,
            "data": self.data,
            "model": self.result["model"],
            "folds": self.result["folds"],
            "seeds": len(self.result["seeds"]),
            "num_images": self.result["num_images"],
            **{f"acc_{key}": acc[key] for key in ("mean", "low", "high", "std", "std_between_seeds")},
            "loss_mean": self.result["loss"]["mean"],
            "substitutes": self.result["substitutes"],
        }


def take(names: Iterable[str]) -> tuple[list[CrossValidation], list[str]]:
    """The cross-validations among `names`, by data and then best first, and the names that are none.

    One is given by its path, or by its name under `sweeps/`. Raises ConvlabError for an unfinished one.
    """
    found, others = [], []
    for name in names:
        folder = directory(name)
        if folder is not None:
            found.append(CrossValidation(folder.resolve().name, _read(folder)))
        else:
            others.append(name)
    return sorted(found, key=lambda each: (each.data, -each.result["acc"]["mean"], each.name)), others


def directory(name: str) -> Path | None:
    """The cross-validation called `name` under `sweeps/`, or whose directory it is; None for neither."""
    for path in (project_dir() / "sweeps" / name, Path(name)):
        if (path / "cv.json").is_file():
            return path
    return None


def verdicts(found: list[CrossValidation]) -> list[str]:
    """A sentence for the best two on each data set, where they were validated on the same folds.

    The corrected resampled t test on the differences by fold (Nadeau and Bengio, Machine Learning 52, 2003):
    t = mean / sqrt(s² (1/k + 1/(k - 1))), with k - 1 degrees of freedom.
    """
    sentences = []
    for data in dict.fromkeys(each.data for each in found):
        best, *rest = [each for each in found if each.data == data]
        if not rest:
            continue
        second = rest[0]
        if any(best.result[key] != second.result[key] for key in ("folds", "num_images")):
            sentences.append(
                f"{best.name} and {second.name} were validated on different folds: no test is made."
            )
            continue
        p_value = _p_value(np.array(best.by_fold()) - np.array(second.by_fold()))
        differ = "differ" if p_value < SIGNIFICANCE else "do not differ"
        sentences.append(
            f"{best.name} and {second.name} {differ} significantly over their {best.result['folds']} common "
            f"folds (corrected resampled t test, {p_text(p_value)})."
        )
    return sentences


def _p_value(differences: np.ndarray) -> float:
    """Two-sided; 1 for no differences at all, 0 where all folds differ by the same."""
    k = len(differences)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1)) * math.sqrt(1 / k + 1 / (k - 1))
    if spread == 0:
        return 0.0 if mean else 1.0
    return float(2 * stdtr(k - 1, -abs(mean) / spread))


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "cv.json"
    result = json.loads(path.read_text())
    if absent := [key for key in (*NUMBERS, "jobs") if key not in result]:
        raise ConvlabError(
            f"{path} lacks {', '.join(absent)}: it is not finished. The same `convlab cv` resumes it."
        )
    return dict(result)
