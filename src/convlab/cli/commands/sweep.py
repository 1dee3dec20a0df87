"""Search for good settings: trials are trained, unpromising ones pruned, the study is kept.

usage: convlab sweep experiment=NAME [workers=N] [storage=URL] [key=value ...]

The experiment's section `search.space` says what is varied; conf/search/ has the rest: how many trials,
by what they are judged (validation images; the test images take no part) and when one is stopped early.
Optuna draws the values: the first trials at random, later ones where the good ones were.

The study is a database that outlives the command: the same command continues until there are
search.num_trials trials, trained to the end or pruned. Ctrl-C or a kill loses nothing: a trial that was
interrupted is put back and resumes from its last checkpoint. Several workers take part in one study, and so
does the same command in another shell. `convlab train -m` runs every combination instead.

sweeps/<name>/ receives a run directory for each trial, study.db, study.json and report.html: parameter
importances, parallel coordinates, the search's course. In MLflow the trials are children of one run.

often used:
  experiment=   an experiment with a search section, for instance lenet_sweep
  search=       how trials are pruned (below)
  search.num_trials=40        more trials; a finished study continues
  search.space.optimizer.lr.high=1     another range
  '+search.space.model.drop={low: 0, high: 0.7}'     one more parameter
  workers=2                   processes on this machine, which share its cores
  hydra/launcher=submitit_slurm   ... or jobs of a cluster: with a study that all reach; ray is another
  storage=URL                 the study's database, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE;
                              else CONVLAB_OPTUNA_STORAGE; else sweeps/<name>/study.db
  name=                       another study of the same experiment

examples:
  convlab sweep experiment=lenet_sweep
  convlab sweep experiment=lenet_sweep workers=2 search=hyperband name=lenet_hyperband
  convlab sweep experiment=mlp_head +search=unpruned '+search.space.model.hidden={choices: [64, 256]}'
"""

import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

from convlab.base import overriding
from convlab.base.errors import ConvlabError
from convlab.cli.words import whole_number

if TYPE_CHECKING:
    from convlab.training.search.plan import Plan


def run(args: list[str]) -> int:
    """Search; returns 1 if a trial failed."""
    for flag in (word for word in args if word.startswith("-")):
        raise ConvlabError(f"'{flag}' is not an option of sweep. `convlab train {flag}` is Hydra's own.")
    own, words = overriding.own_words(args, ("workers", "storage"))
    workers = whole_number("workers", own.get("workers", "1"), 1)
    from convlab.base import config, launchers
    from convlab.training.search import outcome, page, plan, processes, study

    own_to_hydra, words = launchers.split(words)
    config.compose("train", own_to_hydra, typed=False)  # which refuses a launcher that there is not
    planned = plan.read(words, own.get("storage"))
    opened = study.open_study(planned)
    parent_id = outcome.open_parent(planned, opened)
    try:
        if own_to_hydra:
            _launch(planned, parent_id, workers, own_to_hydra)
        else:
            processes.run(planned, parent_id, workers)
    finally:  # after Ctrl-C, too: what is finished is shown
        found = outcome.gather(planned, opened)
        page.write(found)
        outcome.show(found)
        if parent_id is not None:
            outcome.record(found, parent_id)
    return 1 if any(trial["state"] == "failed" for trial in found.trials) else 0


def _launch(planned: "Plan", parent_id: str | None, workers: int, own_to_hydra: list[str]) -> None:
    """Hand the workers to Hydra's launcher."""
    from convlab.cli import launching

    directory = planned.directory / "workers"
    words = [*own_to_hydra, *planned.words, f"hydra.sweep.dir='{directory}'"]
    each = [[f"hydra.sweep.subdir={number}"] for number in range(1, workers + 1)]
    launching.each(words, each, partial(_worker, planned, parent_id))
    shutil.rmtree(directory)  # empty directories; trials have their own


def _worker(planned: "Plan", parent_id: str | None, _: Any) -> None:
    """One worker, wherever the launcher runs it."""
    from convlab.training.search import processes

    processes.work(planned, parent_id)
