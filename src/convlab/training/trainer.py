"""Lightning's Trainer for one run: convlab's callbacks, the user's, and the loggers."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.accelerators import AcceleratorRegistry
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint, ProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import PassThroughProfiler

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.parts import instantiate
from convlab.runs.recorder import Recorder
from convlab.runs.run import Run
from convlab.training.averaging import AveragedWeights
from convlab.training.callbacks import LastCheckpoint, RandomState, StepLog, StopAfter
from convlab.training.classifier import METRICS
from convlab.training.history import History


def trainer(
    config: dict[str, Any], run: Run, first: Sequence[pl.Callback], recorder: Recorder, num_batches: int
) -> pl.Trainer:
    """The trainer that `config` describes. first: callbacks that come before all but the random state."""
    if config["trainer"].get("fast_dev_run"):
        raise ConvlabError(
            "trainer.fast_dev_run keeps no checkpoint to make a model of. A quick try: trainer.max_epochs=1 "
            "+trainer.limit_train_batches=1 +trainer.limit_val_batches=1."
        )
    _accelerator_is_there(config["trainer"]["accelerator"])
    loggers = _loggers(config, run, recorder)
    callbacks = _callbacks(config, run, first, bool(loggers))
    made: pl.Trainer = instantiate(
        config["trainer"] | {"max_steps": -1, "min_epochs": 0},  # StopAfter counts the steps
        "trainer",
        log_every_n_steps=min(config["trainer"]["log_every_n_steps"], num_batches),
        callbacks=callbacks,
        logger=loggers or False,
        default_root_dir=str(run.directory),
        enable_progress_bar=any(isinstance(each, ProgressBar) for each in callbacks),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **({} if "profiler" in config["trainer"] else {"profiler": _Unprofiled()}),
    )
    return made


def _accelerator_is_there(name: Any) -> None:
    """Raise ConvlabError, with what there is, for an accelerator that this machine lacks."""
    kinds = ("cpu", "cuda", "mps")
    there = ["auto", *(kind for kind in kinds if AcceleratorRegistry.get(kind).is_available())]
    if {"cuda", "mps"} & set(there):
        there.insert(1, "gpu")
    if name not in there:
        raise ConvlabError(
            f"trainer.accelerator={name}: torch finds none on this machine. Leave it out (auto takes the "
            f"fastest), or choose one of: {', '.join(there)}. `convlab doctor` says more."
        )


def max_steps(config: dict[str, Any]) -> int | None:
    """Where training ends by steps; None where it ends by epochs only."""
    steps = config["trainer"].get("max_steps", -1)
    if steps == 0 or steps < -1:
        raise ConvlabError(f"trainer.max_steps={steps}: expected at least 1, or -1 for no limit.")
    return None if steps == -1 else int(steps)


def _callbacks(
    config: dict[str, Any], run: Run, first: Sequence[pl.Callback], logged: bool
) -> list[pl.Callback]:
    """In the order in which Lightning calls them; what is written last has seen what all others did."""
    checkpoint, decay = config["checkpoint"], config["averaging"]["decay"]
    callbacks: list[pl.Callback] = [RandomState(), *first]
    if decay is not None:
        callbacks.append(AveragedWeights(decay))
    if logged and config["scheduler"]["factory"]:
        callbacks.append(LearningRateMonitor(config["scheduler"]["interval"]))
    if (steps := max_steps(config)) is not None:
        callbacks.append(StopAfter(steps))
    if config["print_every_n_steps"] and not console.is_terminal:  # there, the progress bar shows it
        callbacks.append(StepLog(config["print_every_n_steps"]))
    callbacks += (chosen := _chosen(config))
    history = next((each for each in first if isinstance(each, History)), None)
    if console.is_terminal and history and not any(isinstance(each, ProgressBar) for each in chosen):
        from convlab.training.progress import ProgressLine

        callbacks.append(ProgressLine(history, checkpoint["monitor"], checkpoint["mode"], max_steps(config)))
    if checkpoint["monitor"]:
        best = ModelCheckpoint(
            dirpath=run.directory / "checkpoints",
            filename="best",
            monitor=checkpoint["monitor"],
            mode=checkpoint["mode"],
            enable_version_counter=False,
        )
        callbacks.append(best)
    last = run.directory / "checkpoints" / "last.ckpt"
    return [*callbacks, LastCheckpoint(last, checkpoint["every_n_steps"])]


def _chosen(config: dict[str, Any]) -> list[pl.Callback]:
    """The user's own: `callbacks`, and `trainer.callbacks`, which Lightning's users try."""
    parts = {f"callbacks.{name}": part for name, part in (config.get("callbacks") or {}).items() if part}
    parts |= {
        f"trainer.callbacks[{n}]": part for n, part in enumerate(config["trainer"].get("callbacks") or [])
    }
    made: dict[str, pl.Callback] = {key: instantiate(part, key) for key, part in parts.items()}
    own = any(not type(callback).__module__.startswith("pytorch_lightning.") for callback in made.values())
    for key, callback in made.items():
        monitor = getattr(callback, "monitor", None)
        if monitor is not None and monitor not in METRICS and not own:  # which may log metrics of its own
            raise ConvlabError(
                f"{key}.monitor={monitor}: there is no such metric, only {', '.join(METRICS)}."
            )
    return list(made.values())


def _loggers(config: dict[str, Any], run: Run, recorder: Recorder) -> list[Logger]:
    """The recorder's, and Lightning's own that `logger` names; these write into the run's directory."""
    own = recorder.lightning_logger(run)
    loggers = [own] if own is not None else []
    for name, part in (config["logger"].get("loggers") or {}).items():
        placed = {"save_dir": str(run.directory)} if part.get("save_dir", "") is None else {}
        loggers.append(instantiate({**part, **placed}, f"logger.loggers.{name}"))
    return loggers


class _Unprofiled(PassThroughProfiler):
    """Lightning's profiler that profiles nothing, without a new context for each of eighty calls a step."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> Any:
        return self._nothing
