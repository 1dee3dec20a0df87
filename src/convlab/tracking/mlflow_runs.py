"""A run of MLflow: begun, reopened, told of parameters, metrics, files and tags, and ended."""

import platform
import re
import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_GIT_DIRTY,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_METRICS_PER_BATCH

from convlab.runs import lineage
from convlab.tracking.store import client, experiment_id

Measured = tuple[str, float, int, int]  # a metric's name and value, when it was measured in ms, and its step
UNKNOWN = (
    "RESOURCE_DOES_NOT_EXIST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
)  # of a run, or a deleted one
NAME_LENGTH = MAX_ENTITY_KEY_LENGTH - 10  # leaves room for what tells equal ones apart
KEY_TAG = "convlab.id"  # by which a run is found whose id was never told: the answer was lost


def now() -> int:
    """The time in milliseconds, as MLflow counts it."""
    return int(time.time() * 1000)


def tags_of(tags: Mapping[str, Any]) -> dict[str, str]:
    """`tags`, and in MLflow's own ones where the code comes from."""
    git = lineage.git_state()
    own: dict[str, Any] = {MLFLOW_SOURCE_NAME: "convlab", MLFLOW_SOURCE_TYPE: "LOCAL"}
    own |= {MLFLOW_GIT_COMMIT: git["git_commit"], MLFLOW_GIT_DIRTY: git["git_dirty"], **tags}
    return {key: str(value) for key, value in own.items() if value is not None}


def start(
    experiment: str, name: str, tags: Mapping[str, str], parent_id: str | None = None, at: int | None = None
) -> str:
    """Begin a run and return its id. at: when it began, in milliseconds; None: now."""
    own = {**tags, **({MLFLOW_PARENT_RUN_ID: parent_id} if parent_id else {})}
    run = client().create_run(experiment_id(experiment), start_time=at, run_name=name, tags=own)
    return str(run.info.run_id)


def find(experiment: str, key: str) -> str | None:
    """The id of the run that was begun with the tag KEY_TAG of this value."""
    query = f"tags.`{KEY_TAG}` = '{key}'"
    found = client().search_runs([experiment_id(experiment)], query, max_results=1)
    return str(found[0].info.run_id) if found else None


def log_dataset(run_id: str, name: str, folder: str, data_hash: str) -> None:
    """What the run was trained on; MLflow shows the first digits of its hash."""
    data = Dataset(name, data_hash[:8], "local", folder)
    client().log_inputs(run_id, datasets=[DatasetInput(data)])


def knows(run_id: str) -> bool:
    """Whether `run_id` is a run of this database, not among the deleted ones."""
    try:
        return client().get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException as error:
        if error.error_code in UNKNOWN:
            return False
        raise


def reopen(run_id: str | None) -> bool:
    """Whether `run_id` is a run of this database; if so it is running again."""
    if run_id is None or not knows(run_id):
        return False
    client().update_run(run_id, status="RUNNING")
    return True


def log_params(run_id: str, params: Mapping[str, str]) -> None:
    """A resumed run keeps its first values."""
    known = client().get_run(run_id).data.params
    new = [Param(key, value) for key, value in params.items() if key not in known]
    client().log_batch(run_id, params=new)


def accepted(metrics: Mapping[str, float]) -> dict[str, float]:
    """`metrics` by names that MLflow takes.

    A character that it refuses (class names have any) becomes `_`, and a long name is cut.
    """
    found = dict[str, float]()
    for name, value in metrics.items():
        plain = re.sub(r"[^A-Za-z0-9_./: -]", "_", name)[:NAME_LENGTH]
        while plain in found:
            plain += "_"
        found[plain] = float(value)
    return found


def log_metrics(run_id: str, metrics: Iterable[Measured], model_id: str | None = None) -> None:
    """What was measured, of the run and of its logged model. To tell it twice changes nothing."""
    entries = [Metric(*each, model_id=model_id, run_id=run_id) for each in metrics]
    for first in range(0, len(entries), MAX_METRICS_PER_BATCH):
        client().log_batch(run_id, entries[first : first + MAX_METRICS_PER_BATCH])


def log_files(run_id: str, paths: Iterable[Path], folder: str | None = None) -> int:
    """Copy files and directories into the run's artifacts, those that exist; returns how many."""
    count = 0
    for path in paths:
        count += path.exists()
        if path.is_dir():
            client().log_artifacts(run_id, str(path), f"{folder}/{path.name}" if folder else path.name)
        elif path.is_file():
            client().log_artifact(run_id, str(path), folder)
    return count


def log_text(run_id: str, text: str, name: str) -> None:
    client().log_text(run_id, text, name)


@cache
def environment() -> str:
    """Python, platform and every installed package, read once a process."""
    packages = sorted({f"{each.metadata['Name']}=={each.version}" for each in distributions()}, key=str.lower)
    return "\n".join([f"# Python {platform.python_version()}, {platform.platform()}", *packages]) + "\n"


def set_tags(run_id: str, tags: Mapping[str, Any]) -> None:
    client().log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])


def last_step(run_id: str, prefix: str) -> int:
    """The last one of the run's metrics whose names begin so; -1 where it has none."""
    metrics = client().get_run(run_id).data._metric_objs
    return max((metric.step for metric in metrics if metric.key.startswith(prefix)), default=-1)


def delete(run_id: str) -> None:
    """Out of the list; MLflow keeps it among the deleted ones until `mlflow gc`."""
    client().delete_run(run_id)


def is_running(run_id: str) -> bool:
    return bool(client().get_run(run_id).info.status == "RUNNING")


def end(run_id: str, failed: bool = False, at: int | None = None) -> None:
    client().set_terminated(run_id, "FAILED" if failed else "FINISHED", at)
