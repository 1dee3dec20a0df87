"""What a cross-validation says of a run's experiment, for the gate, where test images are few."""

from typing import Any

import numpy as np

from convlab.base.config import lasting
from convlab.base.errors import ConvlabError
from convlab.base.trees import flat
from convlab.promotion.evidence import Answers, Estimate
from convlab.runs.report import cross_validations
from convlab.runs.run import Run


def answers(name: str, run: Run) -> Answers:
    """The answers of the cross-validation `name`, of its first seed; accuracy and interval are of all seeds.

    Raises ConvlabError unless it is finished, and of `run`'s experiment on `run`'s data.
    """
    found, _ = cross_validations.take([name])
    directory = cross_validations.directory(name)
    if not found or directory is None:
        raise ConvlabError(f"--cv {name}: there is no such cross-validation. `convlab cv` makes one.")
    result, acc = found[0].result, found[0].result["acc"]
    folds = [
        Run(directory / f"fold-{fold}_seed-{result['seeds'][0]}") for fold in range(1, result["folds"] + 1)
    ]
    _same_experiment(name, run, folds[0])
    counts = np.zeros((len(run.classes), len(run.classes)), np.int64)
    for fold in folds:
        confusion = fold.confusion
        if confusion is None:
            raise ConvlabError(f"--cv {name}: {fold.directory} has no predictions.npz. Run it again.")
        counts += confusion
    return Answers(run.classes, counts, Estimate(len(folds), acc["mean"], acc["low"], acc["high"]))


def _same_experiment(name: str, run: Run, fold: Run) -> None:
    """Raise ConvlabError, naming what differs, unless only seed and fold do."""
    ours, theirs = _settings(run), _settings(fold)
    if differing := sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key)):
        key = differing[0]
        raise ConvlabError(
            f"--cv {name}: it is of another experiment: {key} is {theirs.get(key)} there, {ours.get(key)} in "
            f"{run.name}."
        )
    if fold.lineage["data_hash"] != run.lineage["data_hash"]:
        raise ConvlabError(f"--cv {name}: {run.data} has changed since. Run the cross-validation again.")


def _settings(run: Run) -> dict[str, Any]:
    """What decides the result, by dotted path, less seeds and the fold."""
    leaves = flat(lasting(run.config))
    return {
        key: leaf
        for key, leaf in leaves.items()
        if key.rpartition(".")[2] != "seed" and not key.startswith("data.module.fold")
    }
