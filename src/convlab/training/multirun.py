"""Hydra's multirun under one parent run, with a table at the end, and resumable.

sweeps/<date>/
  sweep.json          the overrides and the parent MLflow run
  <job>/              a run directory (runs/run.py) for each combination
"""

import json
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from convlab.base import config, overriding
from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError
from convlab.base.files import write_json
from convlab.base.project import project_dir
from convlab.base.ranks import number_started
from convlab.runs import recorder as recorders
from convlab.runs.recorder import Recorder
from convlab.runs.run import Run
from convlab.training.alone import is_training

RESUME = "sweep.resume"


def run(overrides: list[str], launch: Callable[[list[str]], None]) -> int:
    """Launch Hydra's multirun over `overrides`; returns 1 if a job failed.

    `launch` runs Hydra's sweeper with further overrides; each of its jobs must call `job`.
    """
    if number_started() > 1:
        raise ConvlabError(
            "-m starts the processes of its jobs itself: run it once, without torchrun or srun."
        )
    parsed = overriding.parse(overrides)
    resuming = any(item.key_or_group == RESUME and item.value() for item in parsed)
    lasting = sorted(str(item.input_line) for item in parsed if item.key_or_group != RESUME)
    directory = _directory(lasting, resuming)
    settings = config.plain(config.compose("train", [overriding.first_value(item) for item in parsed]))
    recorder, noted = recorders.of(settings["logger"]), directory / "sweep.json"
    parent_id = json.loads(noted.read_text())["parent_id"] if noted.is_file() else None
    parent_id = recorder.begin_group(
        directory, f"sweep {directory.name}", {"sweep": " ".join(lasting)}, parent_id
    )
    write_json(noted, {"overrides": lasting, "parent_id": parent_id})
    shared = [item.key_or_group for item in parsed if not item.is_sweep_override()]
    excluded = ",".join(["experiment", *shared])
    try:
        launch(
            [
                f"hydra.sweep.dir={directory.relative_to(project_dir())}",
                f"hydra.job.config.override_dirname.exclude_keys=[{excluded}]",
            ]
        )
    finally:  # after Ctrl-C, too: what is finished is shown, and how to go on
        status = _close(directory, parent_id, recorder, overriding.number_of_jobs(parsed))
    return status


def job(settings: dict[str, Any], directory: Path, train: Callable[[str | None], None]) -> None:
    """Run one combination unless it is finished; an error is noted in its run.json, not raised."""
    parent_id = json.loads((directory.parent / "sweep.json").read_text())["parent_id"]
    if settings["sweep"]["resume"] and finished(directory, settings):
        console.print(f"{directory.name}: finished earlier, kept.", markup=False)
        return
    guarded(directory, lambda: train(parent_id))


def guarded(directory: Path, work: Callable[[], None]) -> None:
    """Do the work of one job; an error is noted in its run.json, not raised."""
    try:
        work()
    except Exception as error:
        if not isinstance(error, ConvlabError):
            traceback.print_exc()
        Run(directory).update_state(status="failed", error=f"{type(error).__name__}: {error}")
        warn(f"job {directory.name} failed; the others continue.")


def finished(directory: Path, settings: dict[str, Any]) -> bool:
    """Whether the job is done and measured, with these very settings: `conf/` may have changed since."""
    if Run(directory).state.get("status") != "finished" or not (directory / "metrics.json").is_file():
        return False
    return same_settings(Run(directory), settings)


def same_settings(run: Run, settings: dict[str, Any]) -> bool:
    """Whether all that decides the result is in `run` as in `settings`."""
    saved = run.config
    if not saved:
        return False
    # sizes left open (null) were filled in from the data
    model = {
        key: saved["model"].get(key) if value is None else value for key, value in settings["model"].items()
    }
    return config.config_hash(saved) == config.config_hash({**settings, "model": model})


def _directory(overrides: list[str], resuming: bool) -> Path:
    """A new directory, or that of the newest sweep with the same overrides."""
    sweeps = project_dir() / "sweeps"
    if resuming:
        for path in sorted(sweeps.glob("*/sweep.json"), reverse=True):
            if json.loads(path.read_text())["overrides"] == overrides:
                return path.parent
        raise ConvlabError(
            f"sweep.resume=true: no sweep in {sweeps} has the overrides {' '.join(overrides)}. "
            "Leave sweep.resume out to start it."
        )
    return sweeps / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"


def _close(directory: Path, parent_id: str | None, recorder: Recorder, number: int) -> int:
    for path in directory.glob("*/run.json"):  # a job's process that died could not say so
        run = Run(path.parent)
        if run.state.get("status") in (None, "running") and not is_training(run.directory):
            run.update_state(status="failed", error="its process was ended")
            recorder.failed(run)
    rows = _results(directory)
    unbegun = max(0, number - len(rows))
    failed = [row for row in rows if row["status"] != "finished"]
    console.print(_table(directory, rows))
    for row in failed:
        console.print(f"[bold red]{row['name']} {row['status']}:[/] ", end="")
        console.print(row["error"], markup=False)
    if unbegun:
        console.print(f"{unbegun} of {number} jobs did not begin.", markup=False)
    if failed or unbegun:
        console.print("The same command with sweep.resume=true runs only what is missing.")
    if parent_id is not None:
        best = max((row["test/acc"] for row in rows if row["test/acc"] is not None), default=None)
        metrics = {} if best is None else {"best/test/acc": best}
        recorder.end_group(directory, parent_id, metrics, failed=bool(failed or unbegun))
        if (address := recorder.group_address(parent_id)) is not None:
            console.print(f"Browse it:      convlab ui   then {address}", markup=False)
    return 1 if failed or unbegun else 0


def _results(directory: Path) -> list[dict[str, Any]]:
    rows = []
    for path in sorted(directory.glob("*/run.json")):
        state = json.loads(path.read_text())
        measured = path.with_name("metrics.json")
        metrics = json.loads(measured.read_text()) if measured.is_file() else {"val": {}, "test": {}}
        rows.append(
            {
                "name": path.parent.name,
                "status": state.get("status"),
                "error": state.get("error"),
                "seconds": state.get("seconds"),
                "val/acc": metrics["val"].get("acc"),
                "test/acc": metrics["test"].get("acc"),
                "test/loss": metrics["test"].get("loss"),
            }
        )
    return sorted(rows, key=lambda row: -(row["test/acc"] or 0))


def _table(directory: Path, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=f"{directory.parent.name}/{directory.name}")
    table.add_column("job", overflow="fold")
    for heading in ("status", "val acc", "test acc", "test loss", "seconds"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["name"],
            row["status"],
            *("" if row[key] is None else f"{row[key]:.2%}" for key in ("val/acc", "test/acc")),
            "" if row["test/loss"] is None else f"{row['test/loss']:.4f}",
            "" if row["seconds"] is None else f"{row['seconds']:.0f}",
        )
    return table
