"""One training run, from a plain configuration to a finished run directory."""

import logging
import shutil
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint, RichProgressBar
from pytorch_lightning.profilers import PassThroughProfiler
from torch import Tensor

from convlab.base.config import config_hash, save
from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.parts import instantiate
from convlab.data.labelled import LabelledData
from convlab.figures import plots
from convlab.models import legacy as runs
from convlab.training.callbacks import (
    AveragedWeights,
    History,
    LastCheckpoint,
    RandomState,
    StepLog,
    StopAfter,
)
from convlab.training.classifier import Classifier

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", r"Checkpoint directory .* exists and is not empty")  # resuming
warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")  # a frozen backbone
# Lightning 2.6 with torch 2.13
warnings.filterwarnings("ignore", r".*treespec, LeafSpec", FutureWarning)


def train(
    config: dict[str, Any],
    run_dir: Path,
    parent_id: str | None = None,
    callbacks: Sequence[pl.Callback] = (),
    command: str | None = None,
) -> None:
    """Train as `config` says; afterwards `run_dir` holds what `runs.py` lists, less the evaluation.

    command: what repeats it, for the record.
    Goes on from `checkpoints/last.ckpt` as `config["resume"]` allows, in the same MLflow run.
    Raises ConvlabError for settings that don't fit together.
    """
    pl.seed_everything(config["seed"], verbose=False)
    data: LabelledData = instantiate(config["data"]["module"], "data.module")
    config = _with_sizes(config, data)
    lineage = {"config_hash": config_hash(config), **data.lineage()}
    network = runs.build_model(config["model"])
    if config["init"]:
        _add_origin(lineage, instantiate(config["init"], "init")(network) or {})
    _check_shapes(network, data)
    if config["channels_last"]:  # the images follow the weights
        network.to(memory_format=torch.channels_last)
    last = _checkpoint_to_resume(config, run_dir, lineage)
    if last is None:
        shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
        (run_dir / "run.json").unlink(missing_ok=True)
    run_dir.mkdir(parents=True, exist_ok=True)
    save(config, run_dir / "config.yaml")
    run_id = _open_tracking(config, run_dir, lineage, parent_id)
    runs.update_state(run_dir, status="running", lineage=lineage, command=command, **runs.git_state())

    history = History(run_dir / "history.csv")
    classifier = _classifier(config, network, len(data.classes))
    trainer = _trainer(config, run_dir, [*callbacks, history], run_id, len(data.train_dataloader()))
    try:
        with _system_metrics(config, run_id, going_on=last is not None):
            _fit(trainer, classifier, data, last)
        seconds = history.seconds
        _finish(config, run_dir, data, lineage, history)
    except BaseException as error:
        runs.update_state(run_dir, status="failed", error=f"{type(error).__name__}: {error}")
        if run_id is not None:
            _tracking().end(run_id, failed=True)
        raise
    runs.update_state(run_dir, status="finished", seconds=round(seconds, 2), error=None)
    if run_id is not None:
        _record(config, run_dir, run_id)


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


def _check_shapes(network: torch.nn.Module, data: LabelledData) -> None:
    network.eval()
    try:
        with torch.no_grad():
            num_logits = network(torch.zeros(2, *data.input_shape)).shape[-1]
    except RuntimeError as error:
        raise ConvlabError(
            f"the model does not accept inputs of shape {data.input_shape} (c h w) from this data: {error}. "
            "For LeNet-5 on 28x28 digits set data.module.preprocessing.pad=2."
        ) from None
    if num_logits != len(data.classes):
        raise ConvlabError(
            f"model.num_classes={num_logits}, but the data has {len(data.classes)} classes: "
            f"{', '.join(data.classes)}."
        )
    network.train()


def _checkpoint_to_resume(config: dict[str, Any], run_dir: Path, lineage: dict[str, Any]) -> Path | None:
    """`last.ckpt` if training should go on from it, by `config["resume"]`."""
    last = run_dir / "checkpoints" / "last.ckpt"
    state = runs.read_state(run_dir)
    choice = config["resume"]
    if choice not in ("auto", "latest", "never"):
        raise ConvlabError(f"resume={choice}: choose auto, latest or never.")
    if choice == "latest" and not last.is_file():
        raise ConvlabError(
            f"resume=latest: there is no {last} to go on from. Leave resume out to start anew."
        )
    same = state.get("lineage") == lineage and state.get("status") in ("running", "failed")
    if choice == "never" or not last.is_file() or (choice == "auto" and not same):
        return None
    step = torch.load(last, weights_only=True, map_location="cpu")["global_step"]
    console.print(f"Going on with {run_dir.name} from step {step:,} ({last}).", markup=False)
    return last


def _open_tracking(
    config: dict[str, Any], run_dir: Path, lineage: dict[str, Any], parent_id: str | None
) -> str | None:
    """The id of the MLflow run, begun or reopened, and noted in run.json; None without tracking."""
    if not config["logger"]["enabled"]:
        return None
    tracking = _tracking()
    noted = runs.read_state(run_dir).get("mlflow") or {}
    experiment, run_id = config["logger"]["experiment"], noted.get("run_id")
    tags = {**lineage, "substitutes": "; ".join(lineage["substitutes"]) or "none"}
    if not tracking.reopen(run_id):
        run_id = tracking.start(experiment, run_dir.name, tags, parent_id)
        tracking.log_environment(run_id)
        data = config["data"]
        tracking.log_dataset(run_id, data["name"], data["module"]["dir"], lineage["data_hash"])
    tracking.log_params(run_id, config)
    runs.update_state(run_dir, mlflow={"experiment": experiment, "run_id": run_id})
    return str(run_id)


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
        _max_steps(config),
    )


def _trainer(
    config: dict[str, Any], run_dir: Path, first: list[pl.Callback], run_id: str | None, num_batches: int
) -> pl.Trainer:
    checkpoint, decay = config["checkpoint"], config["averaging"]["decay"]
    callbacks: list[pl.Callback] = [RandomState(), *first]
    if decay is not None:
        callbacks.append(AveragedWeights(decay))
    if run_id is not None and config["scheduler"]["factory"]:
        callbacks.append(LearningRateMonitor(config["scheduler"]["interval"]))
    if console.is_terminal:
        callbacks.append(RichProgressBar(leave=True))
    if (max_steps := _max_steps(config)) is not None:
        callbacks.append(StopAfter(max_steps))
    if config["print_every_n_steps"] and not console.is_terminal:  # there, the progress bar shows it
        callbacks.append(StepLog(config["print_every_n_steps"]))
    if checkpoint["monitor"]:
        best = ModelCheckpoint(
            dirpath=run_dir / "checkpoints",
            filename="best",
            monitor=checkpoint["monitor"],
            mode=checkpoint["mode"],
            enable_version_counter=False,
        )
        callbacks.append(best)
    callbacks.append(LastCheckpoint(run_dir / "checkpoints" / "last.ckpt", checkpoint["every_n_steps"]))
    trainer: pl.Trainer = instantiate(
        config["trainer"] | {"max_steps": -1, "min_epochs": 0},  # StopAfter counts the steps
        "trainer",
        log_every_n_steps=min(config["trainer"]["log_every_n_steps"], num_batches),
        callbacks=callbacks,
        logger=_tracking().lightning_logger(run_id, config["logger"]["experiment"]) if run_id else False,
        default_root_dir=str(run_dir),
        enable_progress_bar=console.is_terminal,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **({} if "profiler" in config["trainer"] else {"profiler": _Unprofiled()}),
    )
    return trainer


class _Unprofiled(PassThroughProfiler):
    """Lightning's profiler that profiles nothing, without a new context for each of eighty calls a step."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> Any:
        return self._nothing


def _max_steps(config: dict[str, Any]) -> int | None:
    """Where training ends by steps; None where it ends by epochs alone."""
    max_steps = config["trainer"].get("max_steps", -1)
    if max_steps == 0 or max_steps < -1:
        raise ConvlabError(f"trainer.max_steps={max_steps}: expected at least 1, or -1 for no limit.")
    return None if max_steps == -1 else int(max_steps)


def _fit(trainer: pl.Trainer, classifier: Classifier, data: LabelledData, last: Path | None) -> None:
    try:
        trainer.fit(classifier, data, ckpt_path=str(last) if last else None, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None


def _finish(
    config: dict[str, Any],
    run_dir: Path,
    data: LabelledData,
    lineage: dict[str, Any],
    history: History,
) -> None:
    """Write `model/` from the chosen checkpoint, and the curves."""
    chosen, monitor = _chosen_checkpoint(config, run_dir), config["checkpoint"]["monitor"]
    if not chosen.is_file():
        raise ConvlabError(
            f"no epoch was validated, so none is the best by checkpoint.monitor={monitor}. Leave "
            "trainer.limit_val_batches out, or take the last step with checkpoint.monitor=null."
        )
    checkpoint = torch.load(chosen, weights_only=True, map_location="cpu")
    runs.save_model(
        run_dir / "model",
        _weights(checkpoint),
        {
            "name": run_dir.name,
            "model": config["model"],
            "classes": data.classes,
            "input_shape": list(data.input_shape),
            "preprocessing": data.preprocessing.to_dict(),
            "backbone": config.get("backbone"),
            "epoch": checkpoint["epoch"] + 1,
            "lineage": lineage,
        },
    )
    plots.curves(history.rows).savefig(run_dir / "curves.png")


def _chosen_checkpoint(config: dict[str, Any], run_dir: Path) -> Path:
    """The one that becomes the model: the best epoch by what is monitored, or else the last step."""
    return run_dir / "checkpoints" / ("best.ckpt" if config["checkpoint"]["monitor"] else "last.ckpt")


def _weights(checkpoint: dict[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The network's weights in a checkpoint: "raw", and "averaged" if it keeps an average."""
    states = {"raw": checkpoint.get("current_model_state", checkpoint["state_dict"])}
    if "current_model_state" in checkpoint:
        states["averaged"] = checkpoint["state_dict"]
    return {
        kind: {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}
        for kind, state in states.items()
    }


def _record(config: dict[str, Any], run_dir: Path, run_id: str) -> None:
    from convlab.tracking import logged_model

    tracking, experiment = _tracking(), config["logger"]["experiment"]
    tracking.log_files(run_id, [run_dir / name for name in ("config.yaml", "history.csv")])
    tracking.log_files(run_id, [_chosen_checkpoint(config, run_dir)], "checkpoints")
    tracking.log_files(run_id, [run_dir / "curves.png"], "figures")
    model_id = logged_model.log_run(run_dir, experiment, run_id)
    runs.update_state(run_dir, mlflow={"experiment": experiment, "run_id": run_id, "model_id": model_id})
    tracking.describe(run_id, run_dir, config)
    tracking.end(run_id)


def _system_metrics(
    config: dict[str, Any], run_id: str | None, going_on: bool
) -> AbstractContextManager[None]:
    if run_id is None or not config["logger"].get("system_metrics"):
        return nullcontext()
    recording: AbstractContextManager[None] = _tracking().system_metrics(run_id, going_on)
    return recording


def _tracking() -> Any:
    """`convlab.tracking.runs`, imported when a run is tracked: MLflow takes seconds."""
    from convlab.tracking import runs as tracking

    return tracking
