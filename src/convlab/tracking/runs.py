"""MLflow, as a sink: runs and what belongs to them. Nothing reads results back from here.

Runs go to `sqlite:///<project>/mlflow.db`, their files to `<project>/mlartifacts/`, unless
MLFLOW_TRACKING_URI names another database or server.
"""

import base64
import json
import logging
import os
import platform
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from convlab.base.project import home_dir, state_dir
from convlab.models import legacy as runs
from convlab.tracking import run_page

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves the machine unasked

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Experiment, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_GIT_DIRTY,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)
from pytorch_lightning.loggers import MLFlowLogger

logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)

UI_ADDRESS = "http://127.0.0.1:5000"
FLUSH_EVERY_S = 2.0  # what a kill can lose of the curves; going on from a checkpoint logs them again
MAX_METRICS = 1000  # that MLflow takes at a time
SAMPLED_EVERY_S = 2.0  # the machine's load; MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL sets it, too
VIEW = "results"  # the saved view with the columns that matter
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"


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
            _ensure_view(found)
            return str(found.experiment_id)
        # A server keeps artifacts where it was told to; a database alone has to be told.
        local = uri().startswith(("sqlite", "postgresql", "mysql", "mssql"))
        location = (home_dir() / "mlartifacts" / name).as_uri() if local else None
        # the interface opens with runs and metrics, not with its pages for language models
        tags = {"mlflow.experimentKind": "custom_model_development", VIEW_TAG: _view()}
        return str(client().create_experiment(name, artifact_location=location, tags=tags))


def _ensure_view(experiment: Experiment) -> None:
    """An experiment of before, or one whose view another version made, gets the present one."""
    if experiment.tags.get(VIEW_TAG) != _view():
        client().set_experiment_tag(experiment.experiment_id, VIEW_TAG, _view())


def _view() -> str:
    """The columns of the runs' table as MLflow's interface saves them: JSON, its state deflated."""
    state = base64.b64encode(zlib.compress(json.dumps(run_page.VIEW).encode())).decode()
    return json.dumps({"name": "Results", "createdAt": 0, "updatedAt": 0, "state": f"deflate;{state}"})


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
        self._pending += [
            Metric(name, float(value), now, step or 0) for name, value in _named(metrics).items()
        ]
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


def _named(metrics: Mapping[str, float]) -> dict[str, float]:
    """Lightning's `epoch` left out, and its `lr-AdamW/pg1` as `train/lr`: the names lead MLflow's charts.

    Further groups of parameters (`train/lr_2`, ...) are named where their rate is another.
    """
    named: dict[str, float] = {}
    for name, value in metrics.items():
        if not (rate := re.fullmatch(r"lr-\w+(?:/pg(\d+))?", name)):
            named |= {} if name == "epoch" else {name: value}
        elif rate[1] in (None, "1"):
            named["train/lr"] = value
        elif value != named.get("train/lr"):
            named[f"train/lr_{rate[1]}"] = value
    return named


def lightning_logger(run_id: str, experiment: str) -> BatchedLogger:
    """Lightning's logger on a run that `start` began."""
    return BatchedLogger(experiment, tracking_uri=uri(), run_id=run_id)


def log_params(run_id: str, config: dict[str, Any]) -> None:
    """What `run_page.parameters` makes of `config`. A resumed run keeps its first values."""
    known = client().get_run(run_id).data.params
    params = [Param(key, value) for key, value in run_page.parameters(config).items() if key not in known]
    client().log_batch(run_id, params=params)


def log_metrics(run_id: str, metrics: dict[str, float], model_id: str | None = None) -> None:
    """Metrics by name, of the run and of its logged model.

    A character that MLflow refuses in a name (class names have any) becomes `_`.
    """
    now, accepted = int(time.time() * 1000), dict[str, float]()
    for name, value in metrics.items():
        plain = re.sub(r"[^A-Za-z0-9_./: -]", "_", name)
        while plain in accepted:
            plain += "_"
        accepted[plain] = value
    entries = [
        Metric(name, value, now, 0, model_id=model_id, run_id=run_id) for name, value in accepted.items()
    ]
    client().log_batch(run_id, entries)


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
    client().log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])


def describe(
    run_id: str, run_dir: Path, config: dict[str, Any], metrics: dict[str, Any] | None = None
) -> None:
    """Write the note on the run's page (see `run_page.note`), and which weights the run ended with."""
    card = runs.read_card(run_dir / "model")
    tags = {"weights_hash": card["weights"][card["selected"]]}
    set_tags(run_id, tags | {MLFLOW_RUN_NOTE: run_page.note(run_dir, config, metrics)})


@contextmanager
def system_metrics(run_id: str, going_on: bool) -> Iterator[None]:
    """Record the machine's load meanwhile, at least once; `going_on`: behind what the run has of it."""
    psutil.cpu_percent()  # the share since the last call: the first one tells nothing
    monitor = SystemMetricsMonitor(run_id, SAMPLED_EVERY_S, resume_logging=going_on, tracking_uri=uri())
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
        monitor.collect_metrics()
        monitor.publish_metrics(monitor.aggregate_metrics())
        monitor.mlflow_logger.flush()


def end(run_id: str, failed: bool = False) -> None:
    client().set_terminated(run_id, "FAILED" if failed else "FINISHED")


def run_url(run_id: str) -> str:
    """Where a browser finds the run: on the tracking server, or on `convlab ui`."""
    server = uri() if uri().startswith("http") else UI_ADDRESS
    found = client().get_run(run_id).info
    page = f"/#/experiments/{found.experiment_id}/runs/{run_id}?workflowType=machine_learning"
    return server.rstrip("/") + page


def table_url(server: str, experiment: str) -> str:
    """Where a browser finds the experiment's runs, in the columns that matter."""
    query = f"workflowType=machine_learning&viewStateShareKey={VIEW}"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id(experiment)}/runs?{query}"
