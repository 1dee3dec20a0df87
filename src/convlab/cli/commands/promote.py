"""Make a trained run the champion of its data set, if it passes the gate.

usage: convlab promote RUN|best [--data NAME] [--cv NAME]

RUN is a name under runs/ or a run's directory, evaluated. `best` is the evaluated run under runs/ with the
highest test accuracy; where runs are on several data sets, --data says on which.

The gate is conf/gate.yaml, with bounds of its own for each data set:
  min_images              in the test split: fewer say too little
  min_accuracy            on the test split, by the low end of its 95 % interval: it passes if it is surely
                          as good
  min_gain                of that low end over the share of the most frequent class: always guessing that is
                          right as often
  min_class_accuracy      of the test images of each class
  max_calibration_error   by how much confidence and accuracy differ there (15 bins), less what chance
                          gives on so few images
  max_latency_ms          median of one photo from its file to its class, measured now, on this machine
  alpha                   refused if it is worse than the champion on the same test images, and McNemar's
                          exact test (one-sided) has p < alpha; after a change of the data the champion is
                          measured on the new test images
--cv NAME judges accuracy and classes by the cross-validation NAME of the run's experiment (`convlab cv`),
in place of the test images: where those are few, it knows more. Each of its images was answered by a
network that never saw it.

A refusal names each condition that failed and by how much, changes nothing, and the exit status is 1.

Each data set has one champion: a digit model never competes with a flower model. What is written:
  champions/<data>/<number>/   the complete model: class names, preprocessing and all weights, a backbone's
                               too, so that it predicts on another machine; README.md is its model card
  MLflow's Model Registry      the same as a version of convlab-<data> with the alias champion, which
                               mlflow.pyfunc and `mlflow models serve` load: models:/convlab-<data>@champion
If the registry can't be reached, nothing changes. `convlab rollback` goes back to the champion before.

examples
  convlab promote lenet
  convlab promote best --data flowers
  convlab cv experiment=linear_head data=photos data.dir=birds name=birds_cv
  convlab promote birds --cv birds_cv
"""

import argparse

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.promotion.gate import Condition
from convlab.runs import champions
from convlab.runs.report import results
from convlab.runs.report.comparison import rank
from convlab.runs.run import Run


def run(args: list[str]) -> int:
    """Judge and, if it passes, promote."""
    parser = argparse.ArgumentParser(prog="convlab promote", add_help=False)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--data")
    parser.add_argument("--cv")
    options = parser.parse_args(args)
    if len(options.runs) != 1:
        raise ConvlabError("which run? One, for instance: convlab promote lenet, or: convlab promote best")
    (name,) = options.runs
    candidates = _best(options.data) if name == "best" else results.read(results.find([name]))
    candidate = candidates[0]
    if options.data not in (None, candidate.data):
        raise ConvlabError(f"--data {options.data}: {candidate.name} was trained on {candidate.data}.")

    from convlab.promotion.promote import promote  # imports torch

    outcome = promote(candidate, len(candidates), options.cv)
    _show(outcome.conditions)
    if outcome.champion is None:
        reasons = "; ".join(each.shortfall for each in outcome.conditions if not each.passed)
        raise ConvlabError(f"{candidate.name} does not become champion of {candidate.data}: {reasons}.")
    what = "is now the champion" if outcome.conditions else "is already the champion"
    folder = Run(outcome.champion.directory).argument
    console.print(
        f"{candidate.name} {what} of {candidate.data}: {outcome.registered} in MLflow.", markup=False
    )
    console.print(f"Complete model and its card: {folder}", markup=False)
    return 0


def _best(data: str | None) -> list[Run]:
    """The evaluated runs under runs/ that compete, the most accurate first."""
    groups = rank(results.read(results.find([])), "test/acc")
    if data is None and len(groups) > 1:
        raise ConvlabError(f"best: runs are on {', '.join(groups)}. Say which with --data.")
    chosen = data if data is not None else next(iter(groups))
    if chosen not in groups:
        raise ConvlabError(f"--data {chosen}: no evaluated run is on it. On: {', '.join(groups)}.")
    return _comparable(chosen, groups[chosen])


def _comparable(data: str, ranked: list[Run]) -> list[Run]:
    """Those of `ranked` on the same images: where the data changed, those on the champion's."""
    hashes = {run.lineage.get("data_hash") for run in ranked}
    history = champions.history(data)
    if len(hashes) == 1:
        return ranked
    if history:
        champion = Run(history[-1].directory)
        if own := [run for run in ranked if run.lineage.get("data_hash") == champion.lineage["data_hash"]]:
            return own
    raise ConvlabError(
        f"best: {data} changed between the trainings, so their accuracies can't be compared. Name a run: "
        f"{', '.join(run.name for run in ranked)}."
    )


def _show(conditions: list[Condition]) -> None:
    for each in conditions:
        verdict = "passed" if each.passed else "failed"
        console.print(f"{verdict}  {each.name}: {each.found}, needed: {each.needed}", markup=False)
