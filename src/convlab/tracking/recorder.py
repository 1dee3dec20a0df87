"""MLflow as a recorder of runs: what it is told, and under which names it shows it.

run.json keeps `mlflow`: the experiment, the run's key, its id once MLflow has given it one, and its logged
model's. Where the server is away, what it lacks waits in the run's outbox.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convlab.runs.metrics import of_section
from convlab.runs.run import Run
from convlab.tracking import delivery, machine_load, reach, run_page
from convlab.tracking import mlflow_runs as mlflow
from convlab.tracking.lightning import BatchedLogger
from convlab.tracking.sending import Sender, measured
from convlab.tracking.store import run_url


class MlflowRecorder:
    """experiment: MLflow's, which runs are listed under. system_metrics: record the machine's load, too."""

    def __init__(self, experiment: str, system_metrics: bool = False) -> None:
        self.experiment, self.system_metrics = experiment, system_metrics

    def begin(self, run: Run, config: dict[str, Any], lineage: dict[str, Any], parent: str | None) -> None:
        noted = _noted(run)
        key, data = noted.get("key") or _new_key(), config["data"]
        run.update_state(mlflow={**noted, "experiment": self.experiment, "key": key})
        sender = Sender(run.directory)
        sender.tell(
            "begin",
            key,
            self.experiment,
            noted=noted.get("run_id"),
            name=run.name,
            parent=parent,
            tags=mlflow.tags_of(delivery.tags_of(lineage)),
            environment=mlflow.environment(),
            data={"name": data["name"], "folder": data["module"]["dir"], "data_hash": lineage["data_hash"]},
            params=run_page.parameters(config),
        )
        sender.send()

    def lightning_logger(self, run: Run) -> BatchedLogger:
        return BatchedLogger(run, _name(_noted(run)), self.experiment)

    @contextmanager
    def watching(self, run: Run, resumed: bool) -> Iterator[None]:
        if not self.system_metrics:
            yield
            return
        sender, name = Sender(run.directory), _name(_noted(run))

        def tell(metrics: dict[str, float], step: int) -> None:
            sender.tell_metrics(name, self.experiment, metrics, step)

        with machine_load.watched(tell, _steps(run, sender) if resumed else 0):
            yield
        sender.send(at_once=False)

    def trained(self, run: Run, config: dict[str, Any], checkpoint: Path) -> None:
        facts = {"metrics": measured({run_page.SECONDS: run.seconds})} if run.seconds is not None else {}
        self._tell(run, "trained", checkpoint=str(checkpoint.relative_to(run.directory)), **facts)

    def failed(self, run: Run) -> None:
        self._tell(run, "end", failed=True)

    def discarded(self, run: Run) -> None:
        Sender(run.directory).outbox.clear()
        if run_id := _noted(run).get("run_id"):
            with suppress(*reach.FAILURES), reach.patience():
                reach.check()
                mlflow.delete(run_id)

    def pruned(self, run: Run) -> None:
        self._tell(run, "tags", tags={"pruned": True})

    def measured(self, run: Run, metrics: dict[str, Any]) -> None:
        self._tell(run, "measured", metrics=measured(_flat(metrics)))

    def shown(self, run: Run, pictures: Sequence[Path]) -> None:
        self._tell(run, "shown", files=[str(path.relative_to(run.directory)) for path in pictures])

    def address(self, run: Run) -> str | None:
        noted = _noted(run)
        return _url(noted["run_id"]) if "run_id" in noted else None

    def begin_group(self, directory: Path, name: str, tags: dict[str, Any], noted: str | None) -> str:
        """A new one is sent with its first run: the caller has noted it by then, whenever a kill comes."""
        sender = Sender(directory)
        begun = (str(event["run"]) for event in sender.outbox.waiting(sender.to) if event["do"] == "begin")
        key = noted or next(begun, None) or _new_key()
        known = noted if noted and not noted.startswith(delivery.KEY) else None
        own = mlflow.tags_of(tags)
        sender.tell("begin", key, self.experiment, noted=known, name=name, parent=None, tags=own)
        if noted:
            sender.send()
        return key

    def end_group(
        self,
        directory: Path,
        group: str,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, Any] | None = None,
        files: Sequence[Path] = (),
        failed: bool = False,
    ) -> None:
        facts = {"tags": dict(tags or {}), "files": [path.name for path in files], "failed": failed}
        sender = Sender(directory)
        sender.tell("result", group, self.experiment, metrics=measured(dict(metrics or {})), **facts)
        if not sender.send():
            reach.remind()

    def group_address(self, group: str) -> str | None:
        return _url(group, self.experiment)

    def _tell(self, run: Run, do: str, **facts: Any) -> None:
        """Tell of a run that was begun, and send it; a run that never was has no record."""
        noted = _noted(run)
        if not noted:
            return
        sender = Sender(run.directory)
        sender.tell(do, _name(noted), noted["experiment"], **facts)
        if not sender.send():
            reach.remind()


def _new_key() -> str:
    return delivery.KEY + uuid.uuid4().hex


def _noted(run: Run) -> dict[str, Any]:
    return dict(run.state.get("mlflow") or {})


def _name(noted: dict[str, Any]) -> str:
    """What a run goes by in its outbox: its key, or its id if an earlier version began it."""
    return str(noted.get("key") or noted["run_id"])


def _steps(run: Run, sender: Sender) -> int:
    """How many samples of the machine's load there are already, as far as can be known now."""
    waiting = [each for event in sender.outbox.waiting() for each in event.get("metrics") or ()]
    last = max((step for name, _, _, step in waiting if name.startswith(machine_load.PREFIX)), default=-1)
    if (run_id := _noted(run).get("run_id")) and last < 0 and reach.due():
        with suppress(*reach.FAILURES), reach.patience():
            last = mlflow.last_step(run_id, machine_load.PREFIX)
    return last + 1


def _url(name: str, experiment: str | None = None) -> str | None:
    """The page of the run with this id, or with this key in `experiment`; None where there is none now."""
    if not reach.due():
        return None
    try:
        with reach.patience():
            by_key = experiment is not None and name.startswith(delivery.KEY)
            run_id = mlflow.find(experiment, name) if by_key and experiment else name
            return run_url(run_id) if run_id else None
    except reach.FAILURES:
        return None


def _flat(metrics: dict[str, Any]) -> dict[str, float]:
    """The test split's metrics and accuracy by class, by the names that MLflow shows."""
    flat = {m.key: metrics["test"][m.name] for m in of_section("test") if m.name in metrics["test"]}
    raw = metrics.get("test_raw", {})
    flat |= {f"test_raw/{name}": raw[name] for name in ("acc", "loss") if name in raw}
    return flat | {f"test_class/{name}": part["acc"] for name, part in metrics["per_class"].items()}
