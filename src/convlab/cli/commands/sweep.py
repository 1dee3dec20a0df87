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
  storage=URL                 the study's database, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE;
                              else CONVLAB_OPTUNA_STORAGE; else sweeps/<name>/study.db
  name=                       another study of the same experiment

examples:
  convlab sweep experiment=lenet_sweep
  convlab sweep experiment=lenet_sweep workers=2 search=hyperband name=lenet_hyperband
  convlab sweep experiment=mlp_head +search=unpruned '+search.space.model.hidden={choices: [64, 256]}'
"""

from convlab.base import overriding
from convlab.base.errors import ConvlabError
from convlab.cli.words import whole_number


def run(args: list[str]) -> int:
    """Search; returns 1 if a trial failed."""
    for flag in (word for word in args if word.startswith("-")):
        raise ConvlabError(f"'{flag}' is not an option of sweep. `convlab train {flag}` is Hydra's own.")
    own, words = overriding.own_words(args, ("workers", "storage"))
    workers = whole_number("workers", own.get("workers", "1"), 1)
    from convlab.training.search import outcome, page, plan, processes, study

    planned = plan.read(words, own.get("storage"))
    opened = study.open_study(planned)
    parent_id = outcome.open_parent(planned, opened)
    try:
        processes.run(planned, parent_id, workers)
    finally:  # after Ctrl-C, too: what is finished is shown
        found = outcome.gather(planned, opened)
        page.write(found)
        outcome.show(found)
        if parent_id is not None:
            outcome.record(found, parent_id)
    return 1 if any(trial["state"] == "failed" for trial in found.trials) else 0
