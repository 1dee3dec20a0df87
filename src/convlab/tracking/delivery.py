"""An outbox's events as MLflow is told of them. To tell it one of them again changes nothing.

Each handler takes events of one kind and the run, or group, by its directory; it returns how much it sent of
what. A run that MLflow does not know, since its database is another, is begun again.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from convlab.base.console import console
from convlab.runs.run import Run
from convlab.tracking import logged_model, run_page
from convlab.tracking import mlflow_runs as mlflow
from convlab.tracking.outbox import Event

KEY = "convlab-"  # with which the name of a run begins that has no id yet
MOST_METRICS = 1000  # that MLflow takes at a time


class Gone(Exception):
    """MLflow does not know the run, and its directory holds another by now: nothing is to tell."""


def deliver(events: list[Event], run: Run) -> Counter[str]:
    """Tell MLflow of `events`, which are of one kind; returns how much was sent of what."""
    try:
        return HANDLERS[events[0]["do"]](events, run)
    except Gone:
        return Counter()


def next_ones(waiting: "deque[Event]") -> list[Event]:
    """The first event, with those behind it that MLflow takes along: metrics of the same run."""
    first = waiting[0]
    taken, count = [first], len(first.get("metrics") or ())
    if first["do"] == "metrics":
        for event in list(waiting)[1:MOST_METRICS]:
            count += len(event.get("metrics") or ())
            if (event["do"], event["run"]) != ("metrics", first["run"]) or count > MOST_METRICS:
                break
            taken.append(event)
    return taken


def run_id(event: Event, run: Run) -> str | None:
    """MLflow's id of the event's run; None where it knows none."""
    name = str(event["run"])
    if not name.startswith(KEY):
        return name
    noted = run.state.get("mlflow") or {}
    if noted.get("key") == name and noted.get("run_id"):
        return str(noted["run_id"])
    return mlflow.find(event["experiment"], name)


def _begin(events: list[Event], run: Run) -> Counter[str]:
    """A training: begun, or going on."""
    (event,) = events
    found, sent = event["noted"], Counter[str]()
    if not mlflow.reopen(found):
        found = mlflow.find(event["experiment"], event["run"])
        if not mlflow.reopen(found):
            parent = _parent(event)
            tags = {**event["tags"], mlflow.KEY_TAG: event["run"]}
            found = mlflow.start(event["experiment"], event["name"], tags, parent, event["at"])
            sent["runs"] = 1
        if "environment" in event:
            mlflow.log_text(str(found), event["environment"], "environment.txt")
            mlflow.log_dataset(str(found), **event["data"])
    if "params" in event:
        mlflow.log_params(str(found), event["params"])
    if _is_current(event, run):
        _note(run, run_id=str(found))
    return sent


def _parent(event: Event) -> str | None:
    """The id of the group that the run belongs to."""
    parent = event["parent"]
    if parent is None or not parent.startswith(KEY):
        return None if parent is None else str(parent)
    return mlflow.find(event["experiment"], parent)


def _metrics(events: list[Event], run: Run) -> Counter[str]:
    measured = [tuple(each) for event in events for each in event["metrics"]]
    known = _known(events[0], run, lambda found: mlflow.log_metrics(found, measured))
    return Counter(metrics=len(measured)) if known else Counter()


def _params(events: list[Event], run: Run) -> Counter[str]:
    (event,) = events
    _known(event, run, lambda found: mlflow.log_params(found, event["params"]))
    return Counter()


def _tags(events: list[Event], run: Run) -> Counter[str]:
    (event,) = events
    _known(event, run, lambda found: mlflow.set_tags(found, event["tags"]))
    _end_what_is_over(event, run)
    return Counter()


def _end(events: list[Event], run: Run) -> Counter[str]:
    (event,) = events

    def tell(found: str) -> None:
        if mlflow.is_running(found):  # not ended in the meantime
            mlflow.end(found, event["failed"], event["at"])

    _known(event, run, tell)
    return Counter()


def _trained(events: list[Event], run: Run) -> Counter[str]:
    (event,) = events
    sent = Counter[str]()

    def tell(found: str) -> None:
        mlflow.log_metrics(found, [tuple(each) for each in event.get("metrics") or ()])
        if _is_current(event, run) and _is_there(run, "model/model.json"):
            folder = run.directory
            sent["files"] += mlflow.log_files(found, [folder / "config.yaml", folder / "history.csv"])
            sent["files"] += mlflow.log_files(found, [folder / event["checkpoint"]], "checkpoints")
            sent["files"] += mlflow.log_files(found, [folder / "curves.png"], "figures")
            _note(run, model_id=_log_model(event, run, found))
            sent["models"] += 1
            _describe(found, run)
        mlflow.end(found, at=event["at"])

    _known(event, run, tell)
    return sent


def _measured(events: list[Event], run: Run) -> Counter[str]:
    (event,) = events
    sent = Counter[str]()

    def tell(found: str) -> None:
        model_id = (run.state.get("mlflow") or {}).get("model_id")
        mlflow.log_metrics(found, [tuple(each) for each in event["metrics"]], model_id)
        sent["metrics"] = len(event["metrics"])
        if _is_current(event, run) and _is_there(run, "model/model.json", "metrics.json"):
            _describe(found, run, run.metrics)
            pictures = [run.directory / name for name in ("confusion.png", "mistakes.png")]
            sent["files"] = mlflow.log_files(found, [run.directory / "metrics.json"])
            sent["files"] += mlflow.log_files(found, pictures, "figures")

    _known(event, run, tell)
    _end_what_is_over(event, run)
    return sent


def _shown(events: list[Event], run: Run) -> Counter[str]:
    (event,) = events
    found = run_id(event, run)
    if found is None or not mlflow.knows(found):
        console.print("The tracking database does not know this run: nothing is logged there.")
        return Counter()
    return Counter(
        files=mlflow.log_files(found, [run.directory / name for name in event["files"]], "figures")
    )


def _result(events: list[Event], run: Run) -> Counter[str]:
    """A group's, at its end."""
    (event,) = events
    found = run_id(event, run)
    if found is None or not mlflow.knows(found):
        return Counter()
    mlflow.log_metrics(found, [tuple(each) for each in event["metrics"]])
    if event["tags"]:
        mlflow.set_tags(found, event["tags"])
    files = mlflow.log_files(found, [run.directory / name for name in event["files"]])
    mlflow.end(found, event["failed"], event["at"])
    return Counter(metrics=len(event["metrics"]), files=files)


def _known(event: Event, run: Run, tell: Callable[[str], Any]) -> bool:
    """`tell(id)`; a run that MLflow does not know is begun again. False where there is nothing left of it."""
    found = run_id(event, run)
    if found is not None:
        try:
            tell(found)
        except MlflowException as error:
            if error.error_code not in mlflow.UNKNOWN or mlflow.knows(found):
                raise
        else:
            return True
    tell(_begin_again(event, run))
    return True


def _begin_again(event: Event, run: Run) -> str:
    """As what the run's directory says."""
    if not _is_current(event, run) or not run.config:
        raise Gone
    state = run.state
    tags = mlflow.tags_of({**tags_of(state.get("lineage") or {}), mlflow.KEY_TAG: event["run"]})
    found = mlflow.start(event["experiment"], run.name, tags)
    mlflow.log_params(found, run_page.parameters(run.config))
    _note(run, run_id=found, model_id=None)
    if state.get("status") == "finished":
        _note(run, model_id=_log_model(event, run, found))
    if state.get("status") != "running":
        mlflow.end(found, failed=state.get("status") == "failed")
    return found


def _log_model(event: Event, run: Run, found: str) -> str:
    """Once for the same weights of a run, however often the training's end is told."""
    key = f"{found} {run.model_file.weights_hash}"
    return logged_model.log_run(run, event["experiment"], found, key)


def _end_what_is_over(event: Event, run: Run) -> None:
    """End a run whose training is over: a kill can come between its record's beginning and its end."""
    state, found = run.state, run_id(event, run)
    if found is None or not _is_current(event, run) or state.get("status") in (None, "running"):
        return
    if mlflow.is_running(found):
        mlflow.end(found, failed=state["status"] == "failed", at=event["at"])


def tags_of(lineage: dict[str, Any]) -> dict[str, Any]:
    """What of a run's lineage are its tags."""
    return {**lineage, "substitutes": "; ".join(lineage.get("substitutes") or []) or "none"}


def _is_current(event: Event, run: Run) -> bool:
    """Whether the directory still holds the event's run, and not one that was trained in its place."""
    noted = run.state.get("mlflow") or {}
    return event["run"] in (noted.get("key"), noted.get("run_id"))


def _is_there(run: Run, *names: str) -> bool:
    """`dvc repro` deletes what a stage will make anew."""
    return all((run.directory / name).is_file() for name in names)


def _note(run: Run, **facts: Any) -> None:
    noted = {**(run.state.get("mlflow") or {}), **facts}
    run.update_state(mlflow={key: value for key, value in noted.items() if value is not None})


def _describe(found: str, run: Run, metrics: dict[str, Any] | None = None) -> None:
    """Write the note on the run's page (see `run_page.note`), and which weights the run ended with."""
    note = run_page.note(run, run.config, metrics, found)
    mlflow.set_tags(found, {"weights_hash": run.model_file.weights_hash, MLFLOW_RUN_NOTE: note})


HANDLERS: dict[str, Callable[[list[Event], Run], Counter[str]]] = {
    "begin": _begin,
    "metrics": _metrics,
    "params": _params,
    "tags": _tags,
    "end": _end,
    "trained": _trained,
    "measured": _measured,
    "shown": _shown,
    "result": _result,
}
