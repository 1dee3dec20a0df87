"""The machine's load while a training runs: what MLflow's own monitors measure, told to whoever keeps it.

MLflow's own thread asks the server about the run at each sample, and ends for good where there is no answer.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
from mlflow.environment_variables import (
    MLFLOW_SYSTEM_METRICS_NODE_ID,
    MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING,
    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL,
)
from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)

PREFIX = "system/"  # under which MLflow shows a metric among the system's
SAMPLED_EVERY_S = 2.0  # MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL sets it, too
THREAD = "MachineLoad"


@contextmanager
def watched(tell: Callable[[dict[str, float], int], None], first: int) -> Iterator[None]:
    """Call `tell(metrics, step)` every two seconds while the block runs and at its end, from step `first`."""
    psutil.cpu_percent()  # the share since the last call: the first one tells nothing
    ended, step = threading.Event(), first
    monitors = _monitors()

    def sample() -> None:
        nonlocal step
        metrics: dict[str, float] = {}
        for monitor in monitors:
            monitor.collect_metrics()
            metrics |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        tell({f"{_prefix()}{name}": value for name, value in metrics.items()}, step)
        step += 1

    def watch() -> None:
        while not ended.wait(_interval()):
            sample()

    thread = threading.Thread(target=watch, name=THREAD, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        sample()


def _monitors() -> list[BaseMetricsMonitor]:
    found: list[BaseMetricsMonitor] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    for kind in (GPUMonitor, ROCMMonitor):
        with suppress(Exception):  # there is none, or nothing that knows it
            return [*found, kind()]
    return found


def _interval() -> float:
    every = MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or SAMPLED_EVERY_S
    return float(every * (MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING.get() or 1))


def _prefix() -> str:
    """Several machines' loads are told apart by the name that each was given."""
    node = MLFLOW_SYSTEM_METRICS_NODE_ID.get()
    return f"{PREFIX}{node}/" if node else PREFIX
