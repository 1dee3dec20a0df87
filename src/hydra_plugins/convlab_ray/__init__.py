"""`hydra/launcher=ray`: a sweep's jobs as tasks of a Ray cluster. Hydra looks for plugins in this namespace.

A job whose node or process dies is begun again elsewhere, up to `max_retries` times, and resumes from its
last checkpoint: so the cluster's machines must share the project's folder.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from convlab.base import ray_cluster

log = logging.getLogger(__name__)


@dataclass
class RayLauncherConf:
    """What `hydra.launcher.<key>=` sets.

    address: of a cluster's head, host:port or ray://host:port; None: RAY_ADDRESS, else one is started here.
    init: further arguments of `ray.init`.
    num_cpus, num_gpus: of each job.
    max_retries: how often a job is begun again after its process died.
    """

    _target_: str = "hydra_plugins.convlab_ray.RayLauncher"
    address: str | None = None
    init: dict[str, Any] = field(default_factory=lambda: {"include_dashboard": False})
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    max_retries: int = 3


ConfigStore.instance().store("ray", RayLauncherConf, group="hydra/launcher", provider="convlab")


class RayLauncher(Launcher):
    """Hydra's launcher on `ray.remote`; the arguments are those of `RayLauncherConf`."""

    def __init__(
        self, address: str | None, init: DictConfig, num_cpus: float, num_gpus: float, max_retries: int
    ) -> None:
        self._address = address
        self._init: Any = OmegaConf.to_container(init, resolve=True)
        self._resources: dict[str, Any] = {"num_cpus": num_cpus, "num_gpus": num_gpus}
        self._resources["max_retries"] = max_retries

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """What Hydra tells of the sweep."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; one that was lost for good is told in the log, and the others go on."""
        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        with ray_cluster.connected(self._address, self._init):
            import ray

            run = ray.remote(**self._resources)(_run)
            shared = ray.put((self._context, self._config, self._task, Singleton.get_state()))
            place = str(Path.cwd()), ray_cluster.environment()
            jobs = []
            for number, overrides in enumerate(job_overrides, initial_job_idx):
                log.info(f"\t#{number} : {' '.join(filter_overrides(overrides))}")
                jobs.append(run.remote(number, list(overrides), shared, *place))
            return [_result(number, job) for number, job in enumerate(jobs, initial_job_idx)]


def _result(number: int, job: Any) -> JobReturn:
    import ray

    try:
        result: JobReturn = ray.get(job)
    except ray.exceptions.RayError as error:
        log.error(f"job #{number} was lost: {type(error).__name__}")
        result = JobReturn(status=JobStatus.COMPLETED)  # a failed one would hide what the others did
    return result


def _run(number: int, overrides: list[str], shared: Any, folder: str, variables: dict[str, str]) -> JobReturn:
    """One job, on the node that Ray chose."""
    context, config, task, state = shared
    os.chdir(folder)
    os.environ |= variables
    setup_globals()
    Singleton.set_state(state)
    job = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = job.hydra.job.num = number
    Path(str(job.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    return run_job(
        hydra_context=context,
        task_function=task,
        config=job,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
