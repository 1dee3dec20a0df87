"""MLflow as a recorder of runs: what it is told, and under which names it shows it.

run.json keeps `mlflow`: the experiment, the run's id and its logged model's. A run that this database does
not know, since it was trained with another, is begun again when there is something to tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from convlab.base.console import console
from convlab.runs.metrics import of_section
from convlab.runs.run import Run
from convlab.tracking import logged_model, run_page
from convlab.tracking import mlflow_runs as mlflow
from convlab.tracking.lightning import BatchedLogger, lightning_logger
from convlab.tracking.store import run_url


class MlflowRecorder:
    """experiment: MLflow's, which runs are listed under. system_metrics: record the machine's load, too."""

    def __init__(self, experiment: str, system_metrics: bool = False) -> None:
        self.experiment, self.system_metrics = experiment, system_metrics

    def begin(self, run: Run, config: dict[str, Any], lineage: dict[str, Any], parent: str | None) -> None:
        run_id = str(_noted(run).get("run_id"))
        if not mlflow.reopen(run_id):
            tags = {**lineage, "substitutes": "; ".join(lineage["substitutes"]) or "none"}
            run_id = mlflow.start(self.experiment, run.name, tags, parent)
            mlflow.log_environment(run_id)
            data = config["data"]
            mlflow.log_dataset(run_id, data["name"], data["module"]["dir"], lineage["data_hash"])
        mlflow.log_params(run_id, config)
        run.update_state(mlflow={"experiment": self.experiment, "run_id": run_id})

    def lightning_logger(self, run: Run) -> BatchedLogger:
        return lightning_logger(_noted(run)["run_id"], self.experiment)

    @contextmanager
    def watching(self, run: Run, resumed: bool) -> Iterator[None]:
        if not self.system_metrics:
            yield
            return
        with mlflow.system_metrics(_noted(run)["run_id"], resumed):
            yield

    def trained(self, run: Run, config: dict[str, Any], checkpoint: Path) -> None:
        run_id = _noted(run)["run_id"]
        mlflow.log_files(run_id, [run.directory / name for name in ("config.yaml", "history.csv")])
        mlflow.log_files(run_id, [checkpoint], "checkpoints")
        mlflow.log_files(run_id, [run.directory / "curves.png"], "figures")
        model_id = logged_model.log_run(run, self.experiment, run_id)
        run.update_state(mlflow={"experiment": self.experiment, "run_id": run_id, "model_id": model_id})
        _describe(run_id, run, config)
        mlflow.end(run_id)

    def failed(self, run: Run) -> None:
        mlflow.end(_noted(run)["run_id"], failed=True)

    def discarded(self, run: Run) -> None:
        mlflow.delete(_noted(run)["run_id"])

    def pruned(self, run: Run) -> None:
        mlflow.set_tags(_noted(run)["run_id"], {"pruned": True})

    def measured(self, run: Run, metrics: dict[str, Any]) -> None:
        noted = _noted(run)
        if not noted:
            return
        run_id, model_id = noted["run_id"], noted.get("model_id")
        if not mlflow.reopen(run_id):
            run_id = mlflow.start(noted["experiment"], run.name, metrics["lineage"])
            mlflow.log_params(run_id, run.config)
            model_id = logged_model.log_run(run, noted["experiment"], run_id)
            run.update_state(mlflow={**noted, "run_id": run_id, "model_id": model_id})
        mlflow.log_metrics(run_id, _flat(metrics), model_id)
        _describe(run_id, run, run.config, metrics)
        mlflow.log_files(run_id, [run.directory / "metrics.json"])
        pictures = [run.directory / name for name in ("confusion.png", "mistakes.png")]
        mlflow.log_files(run_id, pictures, "figures")
        mlflow.end(run_id)

    def shown(self, run: Run, pictures: Sequence[Path]) -> None:
        noted = _noted(run)
        if not noted:
            return
        if not mlflow.reopen(noted["run_id"]):
            console.print("The tracking database does not know this run: nothing is logged there.")
            return
        mlflow.log_files(noted["run_id"], pictures, "figures")
        mlflow.end(noted["run_id"])

    def address(self, run: Run) -> str | None:
        noted = _noted(run)
        return run_url(noted["run_id"]) if noted else None

    def begin_group(self, name: str, tags: dict[str, Any], noted: str | None) -> str:
        return str(noted) if mlflow.reopen(noted) else mlflow.start(self.experiment, name, tags)

    def end_group(
        self,
        group: str,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, Any] | None = None,
        files: Sequence[Path] = (),
        failed: bool = False,
    ) -> None:
        if metrics:
            mlflow.log_metrics(group, dict(metrics))
        if tags:
            mlflow.set_tags(group, dict(tags))
        mlflow.log_files(group, files)
        mlflow.end(group, failed)

    def group_address(self, group: str) -> str:
        return run_url(group)


def _noted(run: Run) -> dict[str, Any]:
    return dict(run.state.get("mlflow") or {})


def _describe(run_id: str, run: Run, config: dict[str, Any], metrics: dict[str, Any] | None = None) -> None:
    """Write the note on the run's page (see `run_page.note`), and which weights the run ended with."""
    note = run_page.note(run, config, metrics)
    mlflow.set_tags(run_id, {"weights_hash": run.model_file.weights_hash, MLFLOW_RUN_NOTE: note})


def _flat(metrics: dict[str, Any]) -> dict[str, float]:
    """The test split's metrics and accuracy by class, by the names that MLflow shows."""
    flat = {m.key: metrics["test"][m.name] for m in of_section("test") if m.name in metrics["test"]}
    raw = metrics.get("test_raw", {})
    flat |= {f"test_raw/{name}": raw[name] for name in ("acc", "loss") if name in raw}
    return flat | {f"test_class/{name}": part["acc"] for name, part in metrics["per_class"].items()}
