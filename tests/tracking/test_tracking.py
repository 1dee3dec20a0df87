"""What a run leaves in MLflow: a real SQLite database, and a real server."""

import base64
import json
import threading
import urllib.request
import zlib

import pytest
from mlflow import MlflowClient
from tracking_server import TrackingServer

from convlab.base import config
from convlab.cli.commands import sync
from convlab.runs.run import Run
from convlab.tracking import delivery, lightning, machine_load, mlflow_runs, store
from convlab.tracking.sending import measured
from convlab.training.evaluation import evaluate
from convlab.training.train import train

QUICK = ["experiment=digits_fully_connected", "scheduler=constant", "trainer.max_epochs=2", "model.hidden=8"]


def settings(*overrides):
    return config.plain(config.compose("train", [*QUICK, *overrides]))


def run_of(run_dir):
    return store.client().get_run(Run(run_dir).state["mlflow"]["run_id"])


def artifacts(run_id, path=None):
    found = []
    for item in store.client().list_artifacts(run_id, path):
        found += artifacts(run_id, item.path) if item.is_dir else [item.path]
    return found


def test_a_run_is_recorded_whole_and_resumed_in_place(project):
    run_dir = project / "runs" / "one"
    train(settings(), run_dir)
    first = run_of(run_dir)
    evaluate(run_dir)
    run = run_of(run_dir)
    assert run.info.run_id == first.info.run_id
    assert (run.info.run_name, run.info.status) == ("one", "FINISHED")
    assert run.data.params["lr"] == "0.05"
    assert run.data.params["model.hidden"] == "8"
    assert "system/cpu_utilization_percentage" in run.data.metrics
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith(f"**Test accuracy {100 * run.data.metrics['test/acc']:.2f} %** (95 % interval ")
    assert "convlab evaluate one" in note
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert run.data.metrics["test/acc"] == metrics["test"]["acc"]
    assert run.data.metrics["train/seconds"] == Run(run_dir).seconds
    assert run.info.end_time == first.info.end_time  # the training's
    assert {"train/loss", "train/acc", "val/loss", "test/loss", "test_class/3"} <= set(run.data.metrics)
    lineage = metrics["lineage"]
    for tag in ("config_hash", "data_hash", "weights_hash"):
        assert run.data.tags[tag] == lineage[tag]
    assert run.data.tags["substitutes"] == "none"
    (data,) = [item.dataset for item in run.inputs.dataset_inputs]
    assert (data.name, data.digest) == ("digits", lineage["data_hash"][:8])
    epochs = store.client().get_metric_history(run.info.run_id, "val/acc")
    assert len(epochs) == 2
    assert epochs[metrics["val"]["epoch"] - 1].value == pytest.approx(metrics["val"]["acc"])
    assert set(artifacts(run.info.run_id)) == {
        "config.yaml",
        "environment.txt",
        "history.csv",
        "metrics.json",
        "checkpoints/best.ckpt",
        "figures/confusion.png",
        "figures/curves.png",
        "figures/mistakes.png",
    }
    assert (project / "mlflow.db").is_file()
    kind = store.client().get_experiment_by_name("convlab").tags["mlflow.experimentKind"]
    assert kind == "custom_model_development"
    assert not [thread for thread in threading.enumerate() if thread.name == machine_load.THREAD]
    assert not (project / "mlruns").exists()

    loads = store.client().get_metric_history(run.info.run_id, "system/system_memory_usage_megabytes")

    train(settings("trainer.max_epochs=3", "resume=latest"), run_dir)
    assert run_of(run_dir).info.run_id == run.info.run_id
    assert len(store.client().get_metric_history(run.info.run_id, "val/acc")) == 3
    more = store.client().get_metric_history(run.info.run_id, "system/system_memory_usage_megabytes")
    assert [load.step for load in more] == list(range(len(more)))
    assert len(more) > len(loads) > 0


def test_a_failing_training_leaves_no_thread_behind():
    told = []

    def fail():
        with machine_load.watched(lambda metrics, step: told.append((step, metrics)), first=3):
            assert [thread for thread in threading.enumerate() if thread.name == machine_load.THREAD]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not [thread for thread in threading.enumerate() if thread.name == machine_load.THREAD]
    ((step, metrics),) = told
    assert step == 3
    assert 0 < metrics["system/system_memory_usage_percentage"] <= 100


def test_an_experiment_of_before_gets_the_columns_that_matter(project):
    made = store.client().create_experiment("old")
    assert store.experiment_id("old") == made
    saved = json.loads(store.client().get_experiment(made).tags["mlflow.sharedViewState.results"])
    kind, state = saved["state"].split(";")
    assert kind == "deflate"
    columns = json.loads(zlib.decompress(base64.b64decode(state)))["selectedColumns"]
    assert columns[0] == "metrics.`test/acc`"
    assert store.table_url("http://127.0.0.1:5000", "old").endswith(
        f"/#/experiments/{made}/runs?workflowType=machine_learning&viewStateShareKey=results"
    )


def test_class_names_of_any_kind_are_recorded(project):
    run_id = mlflow_runs.start("convlab", "one", {})
    names = ["test_class/tülips & co", "test_class/tölips & co", "test_class/my daisy"]
    mlflow_runs.log_metrics(run_id, measured({name: value for value, name in enumerate(names)}))
    assert store.client().get_run(run_id).data.metrics == {
        "test_class/t_lips _ co": 0,
        "test_class/t_lips _ co_": 1,
        "test_class/my daisy": 2,
    }


def test_a_class_name_beyond_mlflows_limit_is_cut(project):
    """MLflow takes 250 characters of a metric's name, and 1,000 metrics at once."""
    run_id = mlflow_runs.start("convlab", "one", {})
    names = [f"test_class/{'x' * 240}{number:04}" for number in range(1200)]
    mlflow_runs.log_metrics(run_id, measured({name: value for value, name in enumerate(names[:2])}))
    found = store.client().get_run(run_id).data.metrics
    assert found == {f"test_class/{'x' * 229}": 0, f"test_class/{'x' * 229}_": 1}
    mlflow_runs.log_metrics(run_id, measured({f"test_class/{number}": number for number in range(1200)}))
    assert len(store.client().get_run(run_id).data.metrics) == 1202


class TestBatchedLogger:
    @pytest.fixture
    def run(self, project):
        """A run that MLflow knows."""
        run = Run(project / "runs" / "one")
        run_id = mlflow_runs.start("convlab", "one", {})
        run.directory.mkdir(parents=True)
        run.update_state(mlflow={"experiment": "convlab", "run_id": run_id})
        return run

    def logger(self, run):
        return lightning.BatchedLogger(run, run.state["mlflow"]["run_id"], "convlab")

    def history(self, run):
        found = store.client().get_metric_history(run.state["mlflow"]["run_id"], "train/loss_step")
        return [(metric.step, metric.value) for metric in found]

    def test_metrics_wait_for_their_turn_and_none_is_lost(self, run):
        logger = self.logger(run)
        logger.log_metrics({"train/loss_step": 0.5}, step=0)  # the first goes at once
        assert self.history(run) == [(0, 0.5)]
        logger._sent_at += 60  # as if the others came within two seconds
        expected = [(0, 0.5)]
        for step in range(1, 2 * delivery.MOST_METRICS + 2):  # more than MLflow takes at a time
            logger.log_metrics({"train/loss_step": step / 4}, step)
            expected.append((step, step / 4))
        assert self.history(run) == [(0, 0.5)]
        logger.finalize("success")
        assert self.history(run) == expected

    def test_names_are_short_and_a_rate_that_all_parameters_share_is_told_once(self, run):
        rates = {"lr-AdamW/pg1": 0.5, "lr-AdamW/pg2": 0.5, "lr-AdamW/pg3": 0.25, "epoch": 0}
        self.logger(run).log_metrics(rates, 0)
        found = store.client().get_run(run.state["mlflow"]["run_id"]).data.metrics
        assert found == {"train/lr": 0.5, "train/lr_3": 0.25}

    def test_a_failure_writes_what_was_pending(self, run):
        logger = self.logger(run)
        for step in range(3):
            logger.log_metrics({"train/loss_step": 1.0}, step)
        logger.finalize("failed")
        assert self.history(run) == [(0, 1.0), (1, 1.0), (2, 1.0)]

    def test_a_kill_loses_nothing(self, run):
        """What was not sent yet is in the run's directory, and sent by whoever is next to send."""
        logger = self.logger(run)
        for step in range(3):
            logger.log_metrics({"train/loss_step": 1.0}, step)
        assert sync.run([]) == 0
        assert self.history(run) == [(0, 1.0), (1, 1.0), (2, 1.0)]


def test_a_new_training_is_a_new_run(project):
    run_dir = project / "runs" / "one"
    train(settings(), run_dir)
    first = run_of(run_dir)
    train(settings(), run_dir)
    assert run_of(run_dir).info.run_id != first.info.run_id


def test_an_evaluation_without_its_run_begins_one(project):
    """DVC can restore a run's directory into a project whose database never saw it."""
    run_dir = project / "runs" / "one"
    train(settings(), run_dir)
    before = run_of(run_dir).info.run_id
    store.client().delete_run(before)
    evaluate(run_dir)
    assert run_of(run_dir).info.run_id != before
    assert "test/acc" in run_of(run_dir).data.metrics


@pytest.fixture
def server(tmp_path):
    """The address of an MLflow server with a database of its own, on this machine."""
    server = TrackingServer(tmp_path)
    server.start()
    yield server.url
    server.kill()


@pytest.mark.slow
def test_a_tracking_server_receives_the_run(convlab, project, server):
    done = convlab("train", *QUICK, "evaluate=true", MLFLOW_TRACKING_URI=server)
    run_id = json.loads((project / "runs/digits_fully_connected/run.json").read_text())["mlflow"]["run_id"]
    assert f"{server}/#/experiments/1/runs/{run_id}" in done.stdout
    with urllib.request.urlopen(f"{server}/api/2.0/mlflow/runs/get?run_id={run_id}") as answer:
        run = json.load(answer)["run"]
    assert run["info"]["status"] == "FINISHED"
    assert "test/acc" in {metric["key"] for metric in run["data"]["metrics"]}
    assert not (project / "mlflow.db").exists()


def test_an_experiment_that_another_machine_makes_at_the_same_moment(project, monkeypatch):
    real, asked = MlflowClient.get_experiment_by_name, []

    def get(client, name):
        found = real(client, name)
        if not asked:  # the other is a moment behind this question, and ahead of its answer's use
            asked.append(MlflowClient(store.uri()).create_experiment(name))
        return found

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", get)
    assert store.experiment_id("shared") == asked[0]
    assert store.VIEW_TAG in store.client().get_experiment(asked[0]).tags
