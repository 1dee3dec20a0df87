"""Cross-validate an experiment: its accuracy as a mean over folds and seeds, with an interval.

usage: convlab cv experiment=NAME [folds=5] [seeds=1,2] [key=value ...]

The training and validation images are dealt into folds, by their content and evenly over the classes. Each
fold is measured once by a network that never saw it: trained as the experiment says on the training images
outside the fold, its epoch chosen on the validation images outside it. The test images are not read.

sweeps/<name>/ (<experiment>_cv unless name=... says otherwise) receives a run directory for each fold and
seed, and cv.json. In MLflow they are children of one run. The same command resumes where it stopped,
and with more seeds adds what is missing. `convlab compare` shows the directory beside runs.

The interval is that of the corrected resampled t statistic (Nadeau and Bengio 2003), for the training sets
of folds overlap. Seeds are averaged within a fold first: they say how much chance in training matters, not
how much the choice of images does.

often used:
  experiment=   a named experiment (below)
  folds=5       how many; more of them train on more images and take longer
  seeds=1,2     each fold is trained once for each
  hydra/launcher=joblib       folds side by side; submitit_local, submitit_slurm and ray are others
  trainer.max_epochs=3  optimizer.lr=0.02      change a setting, for all

examples:
  convlab cv experiment=linear_head
  convlab cv experiment=mlp_head folds=10 seeds=1,2,3
  convlab compare linear_head_cv mlp_head_cv
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from convlab.base import overriding
from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.cli.words import whole_number

if TYPE_CHECKING:
    from convlab.training import cross_validation


def run(args: list[str]) -> int:
    """Cross-validate, and print the table."""
    for flag in (word for word in args if word.startswith("-")):
        raise ConvlabError(f"'{flag}' is not an option of cv. `convlab cv --help` explains what is.")
    own, words = overriding.own_words(args, ("folds", "seeds"))
    folds = whole_number("folds", own.get("folds", "5"), 2)
    seeds = [whole_number("seeds", word, 0) for word in own.get("seeds", "1").split(",")]
    if len(set(seeds)) < len(seeds):
        raise ConvlabError(f"seeds={own['seeds']}: a seed is named twice.")
    from convlab.base import config, launchers
    from convlab.training import cross_validation

    own_to_hydra, words = launchers.split(words)
    config.compose("train", own_to_hydra, typed=False)  # which refuses a launcher that there is not
    plan = cross_validation.read(words, folds, seeds)
    result = cross_validation.run(plan, _launch(plan.directory, own_to_hydra) if own_to_hydra else None)
    _print(result)
    console.print(f"Beside other runs:  convlab compare {plan.directory.name}", markup=False)
    return 0


def _launch(directory: Path, own_to_hydra: list[str]) -> "cross_validation.Launch":
    def launch(jobs: dict[str, list[str]], parent_id: str | None) -> None:
        from convlab.cli import launching

        words = [*own_to_hydra, f"hydra.sweep.dir='{directory}'"]
        each = [[*job, f"hydra.sweep.subdir={name}"] for name, job in jobs.items()]
        launching.each(words, each, partial(_fold, parent_id))

    return launch


def _fold(parent_id: str | None, cfg: Any) -> None:
    """One fold with one seed, wherever the launcher runs it; its error is kept, so that the others go on."""
    from hydra.core.hydra_config import HydraConfig

    from convlab.base import config
    from convlab.training import cross_validation, multirun

    directory = Path(HydraConfig.get().runtime.output_dir)
    multirun.guarded(directory, lambda: cross_validation.train_fold(config.plain(cfg), directory, parent_id))


def _print(result: dict[str, Any]) -> None:
    seeds, acc = result["seeds"], result["acc"]
    title = f"{result['name']}: {result['folds']} folds of {result['num_images']:,} images ({result['data']})"
    table = Table(title=title)
    table.add_column("fold", justify="right")
    table.add_column("images", justify="right")
    for seed in seeds:
        table.add_column(f"accuracy %, seed {seed}", justify="right")
    for fold in range(1, result["folds"] + 1):
        jobs = {job["seed"]: job for job in result["jobs"] if job["fold"] == fold}
        cells = [f"{100 * jobs[seed]['acc']:.2f}" for seed in seeds]
        table.add_row(str(fold), f"{jobs[seeds[0]]['num_images']:,}", *cells)
    console.print(table)
    mean, low, high, std = (f"{100 * acc[key]:.2f}" for key in ("mean", "low", "high", "std"))
    chance = f", {100 * acc['std_between_seeds']:.2f} between seeds" if len(seeds) > 1 else ""
    console.print(f"accuracy {mean} %, 95 % interval {low} to {high}", markup=False)
    console.print(f"standard deviation {std} between folds{chance}", markup=False)
