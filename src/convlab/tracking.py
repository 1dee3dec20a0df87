"""MLflow, as a sink: the only file that imports it. Nothing reads results back from here.

Runs go to `sqlite:///<project>/mlflow.db`, their files to `<project>/mlartifacts/`, unless
MLFLOW_TRACKING_URI names another database or server.
"""

import logging
import os
import platform
import re
import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from filelock import FileLock

from convlab import runs
from convlab.project import home_dir, state_dir

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves the machine unasked

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_GIT_DIRTY,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)
from pytorch_lightning.loggers import MLFlowLogger

logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

UI_ADDRESS = "http://127.0.0.1:5000"
FLUSH_EVERY_S = 2.0  # what a kill can lose of the curves; going on from a checkpoint logs them again
MAX_METRICS = 1000  # that MLflow takes at a time


def uri() -> str:
    """MLFLOW_TRACKING_URI, else the project's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home_dir() / 'mlflow.db'}"


def client() -> MlflowClient:
    return MlflowClient(uri())


def experiment_id(name: str) -> str:
    """The id of MLflow experiment `name`; makes it, and the database, when they are not there yet.

    One process at a time: MLflow's first migration of a fresh database is not safe against another.
    """
    lock = state_dir() / "tracking.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        found = client().get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # A server keeps artifacts where it was told to; a database alone has to be told.
        local = uri().startswith(("sqlite", "postgresql", "mysql", "mssql"))
        location = (home_dir() / "mlartifacts" / name).as_uri() if local else None
        # the interface opens with runs and metrics, not with its pages for language models
        tags = {"mlflow.experimentKind": "custom_model_development"}
        return str(client().create_experiment(name, artifact_location=location, tags=tags))


def start(experiment: str, name: str, tags: dict[str, Any], parent_id: str | None = None) -> str:
    """Begin a run and return its id; where its code comes from is told in MLflow's own tags."""
    git = runs.git_state()
    own: dict[str, Any] = {MLFLOW_SOURCE_NAME: "convlab", MLFLOW_SOURCE_TYPE: "LOCAL"}
    own |= {MLFLOW_GIT_COMMIT: git["git_commit"], MLFLOW_GIT_DIRTY: git["git_dirty"]}
    own |= {MLFLOW_PARENT_RUN_ID: parent_id, **tags}
    known = {key: str(value) for key, value in own.items() if value is not None}
    run = client().create_run(experiment_id(experiment), run_name=name, tags=known)
    return str(run.info.run_id)


def log_dataset(run_id: str, name: str, folder: str, data_hash: str) -> None:
    """What the run was trained on; MLflow shows the first digits of its hash."""
    data = Dataset(name, data_hash[:8], "local", folder)
    client().log_inputs(run_id, datasets=[DatasetInput(data)])


def reopen(run_id: str | None) -> bool:
    """Whether `run_id` is a run of this database; if so it is running again."""
    if run_id is None:
        return False
    try:
        client().update_run(run_id, status="RUNNING")
    except MlflowException:
        return False
    return True


class BatchedLogger(MLFlowLogger):
    """Lightning's logger, many steps' metrics written at once: a write takes as long as a training step."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pending: list[Metric] = []
        self._flushed_at = 0.0

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        now = int(time.time() * 1000)
        self._pending += [Metric(name, float(value), now, step or 0) for name, value in metrics.items()]
        if time.monotonic() - self._flushed_at > FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        while self._pending:
            self.experiment.log_batch(self.run_id, metrics=self._pending[:MAX_METRICS])
            del self._pending[:MAX_METRICS]
        self._flushed_at = time.monotonic()

    def finalize(self, status: str = "success") -> None:
        self.flush()
        super().finalize(status)


def lightning_logger(run_id: str, experiment: str) -> BatchedLogger:
    """Lightning's logger on a run that `start` began."""
    return BatchedLogger(experiment, tracking_uri=uri(), run_id=run_id)


def log_params(run_id: str, config: dict[str, Any]) -> None:
    """Every leaf of `config` as a parameter, by its dotted path. A resumed run keeps its first values."""
    known = client().get_run(run_id).data.params
    params = [Param(key, str(value)) for key, value in _flat(config) if key not in known]
    for first in range(0, len(params), 100):  # MLflow takes a hundred at a time
        client().log_batch(run_id, params=params[first : first + 100])


def log_metrics(run_id: str, metrics: dict[str, float]) -> None:
    """Metrics by name; a character that MLflow refuses in a name (class names have any) becomes `_`."""
    now, accepted = int(time.time() * 1000), dict[str, float]()
    for name, value in metrics.items():
        plain = re.sub(r"[^A-Za-z0-9_./: -]", "_", name)
        while plain in accepted:
            plain += "_"
        accepted[plain] = value
    client().log_batch(run_id, [Metric(name, value, now, 0) for name, value in accepted.items()])


def log_files(run_id: str, paths: Iterable[Path], folder: str | None = None) -> None:
    """Copy files and directories into the run's artifacts, those that exist."""
    for path in paths:
        if path.is_dir():
            client().log_artifacts(run_id, str(path), f"{folder}/{path.name}" if folder else path.name)
        elif path.is_file():
            client().log_artifact(run_id, str(path), folder)


def log_environment(run_id: str) -> None:
    """Python, platform and every installed package, as `environment.txt`."""
    lines = [f"# Python {platform.python_version()}, {platform.platform()}", *_packages()]
    client().log_text(run_id, "\n".join(lines) + "\n", "environment.txt")


@cache
def _packages() -> list[str]:
    """`name==version` of each that is installed, read once a process."""
    return sorted({f"{each.metadata['Name']}=={each.version}" for each in distributions()}, key=str.lower)


def set_tags(run_id: str, tags: dict[str, Any]) -> None:
    for key, value in tags.items():
        client().set_tag(run_id, key, str(value))


def end(run_id: str, failed: bool = False) -> None:
    client().set_terminated(run_id, "FAILED" if failed else "FINISHED")


def run_url(run_id: str) -> str:
    """Where a browser finds the run: on the tracking server, or on `convlab ui`."""
    server = uri() if uri().startswith("http") else UI_ADDRESS
    found = client().get_run(run_id).info
    return f"{server.rstrip('/')}/#/experiments/{found.experiment_id}/runs/{run_id}"


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves += _flat(value, f"{prefix}{key}.")
        else:
            leaves.append((f"{prefix}{key}", value))
    return leaves
