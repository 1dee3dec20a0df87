"""Train one network, or with -m sweep over several.

usage: convlab train [experiment=NAME] [key=value ...]
       convlab train -m experiment=A,B seed=1,2 ...      every combination, one job after another

A run is composed by Hydra: an experiment is a named set of differences over conf/train.yaml, and any
value can be overridden on the command line. `convlab train --cfg job` prints the composed configuration.
The run's directory, runs/<experiment>/ (name=... chooses another), receives the configuration, the
trained model, checkpoints, the history and curves; the run is logged to MLflow. An interrupted run
resumes where it stopped when you run the same command again.

A sweep writes sweeps/<date>/, measures each job on the test split, groups the jobs under one parent run
in MLflow and ends with a table. A failed job does not stop the others.

often used:
  experiment=   a named experiment (below)
  data= backbone= model= optimizer= scheduler= trainer= logger= callbacks=      exchange one part
  logger=[mlflow,tensorboard]      tell several of the run; csv and wandb are others
  callbacks=early_stopping  callbacks.early_stopping.patience=5      end when nothing improves
  trainer.max_epochs=3  batch_size=64  optimizer.lr=0.02  seed=2      change one number
  trainer.devices=2         a process for each of two devices, which share every batch
  averaging.decay=0.99      also keep a moving average of the weights
  resume=latest             resume from the last checkpoint although settings changed (more epochs, say)
  resume=never              restart; also in place of a finished run with other settings
  evaluate=true             measure the test split when training ends, and say the accuracy
  hydra/launcher=joblib     with -m: jobs side by side; submitit_local, submitit_slurm and ray are others
  sweep.resume=true         with -m: run only what the last sweep with the same overrides left undone

examples:
  convlab train experiment=lenet
  convlab train experiment=lenet5 seed=7 name=lenet5_seed7
  convlab train -m experiment=lenet,lenet5 trainer.max_epochs=1 seed=1,2
"""

import sys
from pathlib import Path
from typing import Any

from convlab.base import config, overriding, shell
from convlab.base.console import console, warn
from convlab.base.ranks import leads
from convlab.cli import measured
from convlab.runs import recorder as recorders
from convlab.runs.run import Run
from convlab.training import multirun


def run(args: list[str]) -> int:
    """Train, or sweep with `-m`; flags other than that are Hydra's own."""
    overrides = [word for word in args if not word.startswith("-")]
    flags = [word for word in args if word.startswith("-")]
    if flags and set(flags) <= {"-m", "--multirun"}:
        from convlab.cli import launching

        config.check("train", overrides)
        return multirun.run(overrides, lambda extra: launching.combinations([*overrides, *extra], _job))
    if flags:
        return _hydra(args)
    job = config.job(overrides)
    alone(job.settings, job.directory, overrides)
    if not leads():
        return 0
    _say_what_next(Run(job.directory), job.settings)
    return 0


def _hydra(args: list[str]) -> int:
    """Run Hydra's application on `args`: what its flags print."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import DictConfig

    from convlab.base.project import project_dir

    def job(cfg: DictConfig) -> None:
        own = HydraConfig.get()
        alone(config.plain(cfg), Path(own.runtime.output_dir), list(own.overrides.task))

    argv, sys.argv = sys.argv, ["convlab train", *overriding.readable(args)]
    try:
        hydra.main(config_path=str(project_dir() / "conf"), config_name="train", version_base="1.3")(job)()
    finally:
        sys.argv = argv
    return 0


def _job(cfg: Any) -> None:
    """One combination of a sweep, wherever the launcher runs it."""
    from hydra.core.hydra_config import HydraConfig

    settings, own = config.plain(cfg), HydraConfig.get()
    directory = Path(own.runtime.output_dir)
    command = _command(settings, directory, list(own.overrides.task))

    def work(parent_id: str | None) -> None:
        config.check_types("train", cfg)  # of a sweep's values only the first is checked before
        _train(settings, directory, command, True, parent_id=parent_id)

    multirun.job(settings, directory, work)


def alone(settings: dict[str, Any], directory: Path, overrides: list[str]) -> None:
    """Unless told to, never in place of a finished run with other settings."""
    from convlab.features.outdated import outdated

    if changed := outdated(settings["data"]):
        warn(changed)
    command = _command(settings, directory, overrides)
    _train(settings, directory, command, settings["evaluate"], replace=settings["resume"] != "auto")


def _train(settings: dict[str, Any], directory: Path, command: str, evaluated: bool, **how: Any) -> None:
    from convlab.training.train import train

    train(settings, directory, command=command, **how)
    if evaluated and leads():
        from convlab.training.evaluation import evaluate

        evaluate(directory)


def _command(settings: dict[str, Any], directory: Path, overrides: list[str]) -> str:
    """What repeats this training alone, a sweep's job under the name of its directory."""
    named = [f"name={directory.name}"] if directory.name != settings["name"] else []
    return shell.join(["convlab", "train", *overrides, *named])


def _say_what_next(run: Run, settings: dict[str, Any]) -> None:
    console.print(f"Trained {run.name} in {run.state['seconds']:.0f} s: {run.directory}", markup=False)
    if settings["evaluate"]:
        measured.say(run.name, run.metrics)
    else:
        console.print(f"Test accuracy:  convlab evaluate {run.name}", markup=False)
    if (address := recorders.of(settings["logger"]).address(run)) is not None:
        console.print(f"Browse it:      convlab ui   then {address}", markup=False)
