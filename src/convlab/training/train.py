"""One training run, from a plain configuration to a finished run directory."""

import logging
import shutil
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException

from convlab.base import own_code
from convlab.base.config import config_hash, recorded, save
from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.files import writing_to
from convlab.base.parts import instantiate
from convlab.base.project import project_dir
from convlab.base.ranks import leads
from convlab.data.labelled import LabelledData
from convlab.figures import plots
from convlab.models import saved
from convlab.runs import recorder as recorders
from convlab.runs.lineage import git_state
from convlab.runs.model_file import ModelFile
from convlab.runs.run import Run
from convlab.training import alone, checkpoints, checks, distributed
from convlab.training.classifier import Classifier
from convlab.training.history import History
from convlab.training.trainer import max_steps, trainer

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", r"Checkpoint directory .* exists and is not empty")  # resuming
warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")  # a frozen backbone
warnings.filterwarnings("ignore", r"The `srun` command is available")  # on every node of such a cluster
# Lightning 2.6 with torch 2.13
warnings.filterwarnings("ignore", r".*treespec, LeafSpec", FutureWarning)


def train(
    config: dict[str, Any],
    run_dir: Path,
    parent_id: str | None = None,
    callbacks: Sequence[pl.Callback] = (),
    command: str | None = None,
    replace: bool = True,
) -> None:
    """Train as `config` says; afterwards `run_dir` holds what runs/run.py lists, less the evaluation.

    command: what repeats it, for the record. replace: whether a finished run with other settings may go.
    Resumes from `checkpoints/last.ckpt` as `config["resume"]` allows, and in the same record. Where
    `config["trainer"]` asks for several devices, starts a process for each (training/distributed.py).
    Raises ConvlabError for settings that don't fit together, for a run that is not to be replaced, and while
    another process trains in `run_dir`.
    """
    num_processes = distributed.others_to_start(config["trainer"])
    if not leads():
        console.quiet = True
        _train(config, run_dir, parent_id, callbacks, command, replace)
        return
    with writing_to(run_dir), alone.alone(run_dir):
        if num_processes:
            _start(num_processes, config, run_dir, parent_id, callbacks, command, replace)
        else:
            _train(config, run_dir, parent_id, callbacks, command, replace)


def _start(
    num_processes: int,
    config: dict[str, Any],
    run_dir: Path,
    parent_id: str | None,
    callbacks: Sequence[pl.Callback],
    command: str | None,
    replace: bool,
) -> None:
    """Train in so many processes, and note it where one of them could not."""
    if callbacks:
        raise ConvlabError(
            f"trainer.devices={config['trainer']['devices']}: a trial of a search trains in one process. "
            "Leave trainer.devices at 1; workers=N trains as many trials at a time."
        )
    try:
        distributed.start(num_processes, _train, config, run_dir, parent_id, (), command, replace)
    except ConvlabError as error:
        run = Run(run_dir)
        if run.state.get("status") in ("running", "failed"):
            run.update_state(status="failed", error=f"{type(error).__name__}: {error}")
            recorders.of(config["logger"]).failed(run)
        raise


def _train(config: dict[str, Any], *arguments: Any) -> None:
    """As `_train_in`, in this process or, where others were started, beside them."""
    with distributed.joined(config["trainer"]) as (rank, world_size):
        _train_in(rank, world_size, config, *arguments)


def _train_in(
    rank: int,
    world_size: int,
    config: dict[str, Any],
    run_dir: Path,
    parent_id: str | None,
    callbacks: Sequence[pl.Callback],
    command: str | None,
    replace: bool,
) -> None:
    pl.seed_everything(config["seed"], verbose=False)
    data: LabelledData = instantiate(config["data"]["module"], "data.module")
    data.rank, data.world_size = rank, world_size
    config = _with_sizes(config, data)
    lineage = {"config_hash": config_hash(config), **data.lineage()}
    if (own := own_code.code_hash(config)) is not None:
        lineage["code_hash"] = own
    network = saved.build(config["model"], [project_dir()])
    if config["init"]:
        _add_origin(lineage, instantiate(config["init"], "init")(network) or {})
    checks.shapes_fit(network, data)
    if config["channels_last"]:  # the images follow the weights
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run, recorder = Run(run_dir), recorders.of(config["logger"] if rank == 0 else None)
    last, fresh = None, False
    if rank == 0:
        if not replace:
            checks.keep_other(run, config, lineage)
        to_measure = config["evaluate"] or (parent_id is not None and not callbacks)  # not a search's trial
        goes_on = checkpoints.goes_on(config, run, lineage, to_measure)
        last = checkpoints.to_resume(config, run, goes_on)
        if last is None:
            shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
            if not goes_on:
                _forget(run, config)
        fresh = parent_id is None and not run_dir.exists()
        run_dir.mkdir(parents=True, exist_ok=True)
        save(recorded(config), run_dir / "config.yaml")
        # first, so that whoever goes on after a kill finds the record that `begin` makes
        run.update_state(status="running", lineage=lineage, command=command, **git_state())
        recorder.begin(run, config, lineage, parent_id)
    last = distributed.of_first(last)
    history = History(run_dir / "history.csv")
    try:
        classifier = _classifier(config, network, len(data.classes))
        fitted = trainer(config, run, [*callbacks, history], recorder, len(data.train_dataloader()))
        with recorder.watching(run, resumed=last is not None):
            _fit(fitted, classifier, data, last)
        if rank > 0:
            return
        seconds = history.seconds
        _finish(config, run, data, lineage, history)
    except BaseException as error:
        if rank > 0:
            raise
        if fresh and isinstance(error, ConvlabError) and not history.path.is_file():  # wrong settings: no run
            recorder.discarded(run)
            shutil.rmtree(run_dir)
            raise
        run.update_state(status="failed", error=f"{type(error).__name__}: {error}")
        recorder.failed(run)
        raise
    run.update_state(seconds=round(seconds, 2), error=None)
    recorder.trained(run, config, checkpoints.chosen(config, run))
    run.update_state(status="finished")  # last: after a kill, the same command tells the rest


def _forget(run: Run, config: dict[str, Any]) -> None:
    """Make way for another training: the record of one that was interrupted here is ended."""
    if run.state.get("status") in ("running", "failed"):
        with suppress(ConvlabError):  # of a tracker that is no longer installed
            recorders.of(run.config.get("logger") or config["logger"]).failed(run)
    (run.directory / "run.json").unlink(missing_ok=True)


def _with_sizes(config: dict[str, Any], data: LabelledData) -> dict[str, Any]:
    """`config` with the model's open sizes (null) filled in from the data."""
    sizes = {"num_inputs": data.input_shape[0], "num_classes": len(data.classes)}
    model = {
        key: sizes[key] if value is None and key in sizes else value for key, value in config["model"].items()
    }
    return {**config, "model": model}


def _add_origin(lineage: dict[str, Any], origin: dict[str, Any]) -> None:
    """Add where the initial weights come from to where the data comes from."""
    substitutes = [*lineage["substitutes"], *origin.get("substitutes", [])]
    lineage.update(origin | {"substitutes": substitutes})


def _classifier(config: dict[str, Any], network: torch.nn.Module, num_classes: int) -> Classifier:
    scheduler = config["scheduler"]
    factory = instantiate(scheduler["factory"], "scheduler.factory") if scheduler["factory"] else None
    return Classifier(
        network,
        num_classes,
        instantiate(config["optimizer"], "optimizer"),
        factory,
        scheduler["interval"],
        instantiate(config["loss"], "loss"),
        config["backbone_lr"],
        max_steps(config),
    )


def _fit(fitted: pl.Trainer, classifier: Classifier, data: LabelledData, last: Path | None) -> None:
    try:
        fitted.fit(classifier, data, ckpt_path=str(last) if last else None, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None
    except MisconfigurationException as error:  # a monitored metric that nothing logs, say
        raise ConvlabError(" ".join(str(error).split())) from None
    except RuntimeError as error:
        if distributed.lost_another(error):
            raise distributed.AnotherEnded from None
        if "conditioned on metric" not in str(error):
            raise
        raise ConvlabError(str(error)) from None


def _finish(
    config: dict[str, Any], run: Run, data: LabelledData, lineage: dict[str, Any], history: History
) -> None:
    """Write `model/` from the chosen checkpoint, and the curves."""
    if not history.path.is_file() and history.rows:  # DVC deleted it, and every epoch is trained
        history.write()
    chosen, monitor = checkpoints.chosen(config, run), config["checkpoint"]["monitor"]
    if not chosen.is_file():
        raise ConvlabError(
            f"no epoch was validated, so none is the best by checkpoint.monitor={monitor}. Leave "
            "trainer.limit_val_batches out, or take the last step with checkpoint.monitor=null."
        )
    checkpoint = torch.load(chosen, weights_only=True, map_location="cpu")
    described = ModelFile(
        name=run.name,
        model=config["model"],
        classes=data.classes,
        input_shape=list(data.input_shape),
        preprocessing=data.preprocessing.to_dict(),
        backbone=config.get("backbone"),
        epoch=checkpoint["epoch"] + 1,
        lineage=lineage,
    )
    saved.save(run.model_dir, checkpoints.weights(checkpoint), described)
    plots.curves(history.rows).savefig(run.directory / "curves.png")
