"""One training in several processes, each with a part of every batch (Lightning's strategy `ddp`).

convlab starts them on one machine. On several, torchrun, SLURM's srun or Ray start the same command once for
each process, and it takes its place among them.
"""

import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException

from convlab.base import orphans
from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.ranks import leads, number_started

QUIETENED = ("torch.distributed.elastic", "torch.multiprocessing.spawn")  # what failed is said here
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
PLACED_BY = ("accelerator", "devices", "num_nodes", "strategy")  # arguments of the trainer
LOOKED_EVERY_S = 0.2
BLAMED_AFTER_S = 3.0


class AnotherEnded(ConvlabError):
    """One of the other processes has ended, which is the one to blame."""

    def __init__(self) -> None:
        super().__init__("another process of this training has ended. The same command resumes.")


def others_to_start(trainer: dict[str, Any]) -> int:
    """How many processes the settings `trainer` ask for that nobody has started: 0 where this one trains.

    Raises ConvlabError for a strategy other than ddp, for several machines without something that starts
    their processes, and for another number of processes than was started.
    """
    started = number_started()
    if trainer["devices"] in (1, "1") and trainer.get("num_nodes", 1) == 1 and started == 1:
        return 0
    if trainer.get("strategy", "auto") not in STRATEGIES:
        raise ConvlabError(
            f"trainer.strategy={trainer['strategy']}: several devices train by ddp, each with the whole "
            f"network. Leave it out, or choose one of: {', '.join(STRATEGIES)}."
        )
    placed = _placed(trainer)
    environment = getattr(placed.strategy, "cluster_environment", None)
    outside = environment is not None and environment.creates_processes_externally
    if outside or started > 1:
        if placed.world_size != started:
            raise ConvlabError(
                f"{started} processes were started, but trainer.devices={trainer['devices']} and "
                f"trainer.num_nodes={trainer.get('num_nodes', 1)} ask for {placed.world_size}. Set the first "
                "to the processes of each machine, the second to the number of machines."
            )
        return 0
    if placed.num_nodes > 1:
        raise ConvlabError(
            f"trainer.num_nodes={placed.num_nodes}: convlab starts processes on this machine alone. Start "
            "this command on each by torchrun or srun: docs/how-to/several-devices.md."
        )
    return int(placed.world_size) if placed.world_size > 1 else 0


def start(num_processes: int, train: Callable[..., None], *arguments: Any) -> None:
    """Run `train(*arguments)` in so many processes of this machine, and wait until all have ended.

    Raises the ConvlabError that one of them raised, or one that says which has died; the others are ended
    then. `train` and `arguments` must pickle.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in QUIETENED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
        monitor_interval=LOOKED_EVERY_S,
        start_method="spawn",
    )
    threads = max(1, torch.get_num_threads() // num_processes)
    with _own_signals():
        try:
            elastic_launch(config, _one)(threads, console.quiet, train, arguments)
        except ChildFailedError as error:
            raise _explained(error.failures, num_processes) from None
        except SignalException as error:
            if error.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + error.sigval) from None


@contextmanager
def joined(trainer: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Be one of the processes that were started; yields this one's rank, and their number."""
    if number_started() == 1:
        yield 0, 1
        return
    placed, begun = _placed(trainer), shares()  # Ray Train has begun the group, and ends it
    placed.strategy.setup_environment()  # the group stays, and the trainer of the training finds it
    try:
        yield placed.global_rank, placed.world_size
    except RuntimeError as error:
        if lost_another(error):
            raise AnotherEnded from None
        raise
    finally:
        if not begun:
            torch.distributed.destroy_process_group()


def shares() -> bool:
    """Whether this process has joined others."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def of_all(value: Any) -> list[Any]:
    """`value` of every process, by rank; each gets all of them."""
    if not shares():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def of_first(value: Any) -> Any:
    """`value` of the process that leads; of this one, where it is alone."""
    values = [value]
    if shares():
        torch.distributed.broadcast_object_list(values)
    return values[0]


def lost_another(error: Exception) -> bool:
    """Whether `error` came of another process that has died."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _placed(trainer: dict[str, Any]) -> pl.Trainer:
    chosen = {key: trainer[key] for key in PLACED_BY if key in trainer}
    try:
        return pl.Trainer(**chosen, logger=False, enable_progress_bar=False, enable_model_summary=False)
    except (MisconfigurationException, RuntimeError, ValueError, TypeError) as error:
        told = " ".join(f"trainer.{key}={value}" for key, value in chosen.items())
        raise ConvlabError(f"{told}: {' '.join(str(error).split())}") from None


def _one(threads: int, quiet: bool, train: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """One process of several."""
    orphans.end_with_parent()
    torch.set_num_threads(threads)
    console.quiet = quiet or not leads()
    try:
        train(*arguments)
    except AnotherEnded:
        time.sleep(BLAMED_AFTER_S)  # so that the other is seen to have failed first
        raise


def _explained(failures: dict[int, Any], num_processes: int) -> ConvlabError:
    """What the first process that failed by itself died of."""

    def order(rank: int) -> tuple[bool, float]:
        return AnotherEnded.__name__ in str(failures[rank].message), failures[rank].timestamp

    rank = min(failures, key=order)
    failure, told = failures[rank], failures[rank].message
    text = " ".join((told["message"] if isinstance(told, dict) else told).split())
    if text.startswith(f"{ConvlabError.__name__}: "):
        return ConvlabError(text.partition(": ")[2])
    died = (
        f"was ended by {signal.Signals(-failure.exitcode).name}" if failure.exitcode < 0 else f"ended: {text}"
    )
    return ConvlabError(
        f"process {rank + 1} of {num_processes} {died}. The others were ended; the same command resumes."
    )


class _own_signals:
    """The handlers of signals as they were, after what sets its own."""

    def __enter__(self) -> None:
        names = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
        here = threading.current_thread() is threading.main_thread()
        self._before = {name: signal.getsignal(name) for name in names} if here else {}

    def __exit__(self, *_: object) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
