"""Jobs handed to Hydra's launcher: a sweep's combinations, folds, a search's workers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from convlab.base import config, launchers, overriding
from convlab.base.errors import ConvlabError

Task = Callable[[DictConfig], Any]  # pickled, where jobs have processes of their own


def combinations(words: list[str], task: Task) -> None:
    """Run `task` on each combination of the values in `words`, as Hydra's sweeper makes them.

    Raises ConvlabError where the launcher gives up: a job's process has died, the cluster refuses.
    """
    with _hydra(words) as application:
        application.multirun("train", task, overriding.readable(words))


def each(words: list[str], jobs: list[list[str]], task: Task) -> None:
    """Run `task` on what `words` with those of each job compose; the launcher gets all jobs at once.

    words: with Hydra's own, `hydra/launcher=` among them. Raises ConvlabError as `combinations` does.
    """
    with _hydra(words) as application:
        composed = application.compose_config(
            "train", overriding.readable(words), run_mode=RunMode.MULTIRUN, with_log_configuration=True
        )
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=HydraContext(config_loader=application.config_loader, callbacks=Callbacks()),
            task_function=task,
            config=composed,
        )
        launcher.launch([overriding.readable(job) for job in jobs], initial_job_idx=0)


@contextmanager
def _hydra(words: list[str]) -> Iterator[Any]:
    parsed = overriding.parse(words)
    with config.initialized() as application:
        launchers.check(parsed)
        try:
            yield application
        except ConvlabError:
            raise
        except Exception as error:
            first = str(error).strip().splitlines() or [""]
            raise ConvlabError(f"the launcher gave up: {type(error).__name__}: {first[0]}") from error
