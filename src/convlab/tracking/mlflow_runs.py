"""A run of MLflow: begun, reopened, told of parameters, metrics, files and tags, and ended."""

import logging
import platform
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_GIT_DIRTY,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_METRICS_PER_BATCH

from convlab.runs import lineage
from convlab.tracking import run_page
from convlab.tracking.store import client, experiment_id, uri

logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)

NAME_LENGTH = MAX_ENTITY_KEY_LENGTH - 10  # leaves room for what tells equal ones apart
SAMPLED_EVERY_S = 2.0  # the machine's load; MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL sets it, too


def start(experiment: str, name: str, tags: dict[str, Any], parent_id: str | None = None) -> str:
    """Begin a run and return its id; where its code comes from is told in MLflow's own tags."""
    git = lineage.git_state()
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


def log_params(run_id: str, config: dict[str, Any]) -> None:
    """What `run_page.parameters` makes of `config`. A resumed run keeps its first values."""
    known = client().get_run(run_id).data.params
    params = [Param(key, value) for key, value in run_page.parameters(config).items() if key not in known]
    client().log_batch(run_id, params=params)


def log_metrics(run_id: str, metrics: dict[str, float], model_id: str | None = None) -> None:
    """Metrics by name, of the run and of its logged model.

    A character that MLflow refuses in a name (class names have any) becomes `_`, and a long name is cut.
    """
    now, accepted = int(time.time() * 1000), dict[str, float]()
    for name, value in metrics.items():
        plain = re.sub(r"[^A-Za-z0-9_./: -]", "_", name)[:NAME_LENGTH]
        while plain in accepted:
            plain += "_"
        accepted[plain] = value
    entries = [
        Metric(name, value, now, 0, model_id=model_id, run_id=run_id) for name, value in accepted.items()
    ]
    for start in range(0, len(entries), MAX_METRICS_PER_BATCH):
        client().log_batch(run_id, entries[start : start + MAX_METRICS_PER_BATCH])


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


def delete(run_id: str) -> None:
    """Out of the list; MLflow keeps it among the deleted ones until `mlflow gc`."""
    client().delete_run(run_id)


def end(run_id: str, failed: bool = False) -> None:
    client().set_terminated(run_id, "FAILED" if failed else "FINISHED")
