"""Who is told about runs: a tracker. `logger.recorder` names one; MLflow's is tracking/recorder.py.

A recorder only receives. What it must remember of a run, such as its own id for it, it keeps in run.json.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from convlab.runs.run import Run

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


class Recorder(Protocol):
    """One tracker, made from the settings `logger`: `Recorder(experiment, system_metrics)`."""

    def begin(self, run: Run, config: dict[str, Any], lineage: dict[str, Any], parent: str | None) -> None:
        """A training begins, or resumes where `run` has been begun. parent: the group that it belongs to."""

    def lightning_logger(self, run: Run) -> "Logger | None":
        """What receives the metrics of each step; None where none does."""

    def watching(self, run: Run, resumed: bool) -> AbstractContextManager[None]:
        """Record the machine's load while the block runs; resumed: behind what the run has of it."""

    def trained(self, run: Run, config: dict[str, Any], checkpoint: Path) -> None:
        """The training is finished: `run`'s directory is complete. checkpoint: what became the model."""

    def failed(self, run: Run) -> None:
        """The training ended with an error."""

    def discarded(self, run: Run) -> None:
        """It ended at its settings, before it had learned anything: it is no run."""

    def pruned(self, run: Run) -> None:
        """The training was ended early by a search."""

    def measured(self, run: Run, metrics: dict[str, Any]) -> None:
        """`run` was evaluated: what metrics.json holds."""

    def shown(self, run: Run, pictures: Sequence[Path]) -> None:
        """Pictures of what the network learned were drawn."""

    def address(self, run: Run) -> str | None:
        """Where a browser finds `run`."""

    def begin_group(self, directory: Path, name: str, tags: dict[str, Any], noted: str | None) -> str | None:
        """A sweep, search or cross-validation begins, or resumes as `noted`; returns its id for `parent`.

        directory: which its runs' directories are in.
        """

    def end_group(
        self,
        directory: Path,
        group: str,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, Any] | None = None,
        files: Sequence[Path] = (),
        failed: bool = False,
    ) -> None:
        """The group is finished: its result."""

    def group_address(self, group: str) -> str | None:
        """Where a browser finds the group."""


class Unrecorded:
    """Nobody is told: the run's directory holds everything all the same."""

    def begin(self, run: Run, config: dict[str, Any], lineage: dict[str, Any], parent: str | None) -> None:
        pass

    def lightning_logger(self, run: Run) -> "Logger | None":
        return None

    def watching(self, run: Run, resumed: bool) -> AbstractContextManager[None]:
        return nullcontext()

    def trained(self, run: Run, config: dict[str, Any], checkpoint: Path) -> None:
        pass

    def failed(self, run: Run) -> None:
        pass

    def discarded(self, run: Run) -> None:
        pass

    def pruned(self, run: Run) -> None:
        pass

    def measured(self, run: Run, metrics: dict[str, Any]) -> None:
        pass

    def shown(self, run: Run, pictures: Sequence[Path]) -> None:
        pass

    def address(self, run: Run) -> str | None:
        return None

    def begin_group(self, directory: Path, name: str, tags: dict[str, Any], noted: str | None) -> str | None:
        return noted

    def end_group(
        self,
        directory: Path,
        group: str,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, Any] | None = None,
        files: Sequence[Path] = (),
        failed: bool = False,
    ) -> None:
        pass

    def group_address(self, group: str) -> str | None:
        return None


MLFLOW = "convlab.tracking.recorder.MlflowRecorder"


def of(logger: Mapping[str, Any] | None) -> Recorder:
    """The recorder that the settings `logger` choose; raises ConvlabError where it can't be made.

    A run of version 0.1 does not name one: then it is MLflow's.
    """
    if not logger or not logger.get("enabled"):
        return Unrecorded()
    from convlab.base.parts import instantiate

    part = {
        "_target_": logger.get("recorder") or MLFLOW,
        "experiment": logger.get("experiment"),
        "system_metrics": bool(logger.get("system_metrics")),
    }
    recorder: Recorder = instantiate(part, "logger.recorder")
    return recorder
