"""What a training tells MLflow while its server, or its database, can't be reached: all of it, later."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
import pytorch_lightning as pl
from tracking_server import TrackingServer

from convlab.base import config
from convlab.base.errors import ConvlabError
from convlab.cli.commands import cv, evaluate, sync
from convlab.cli.commands import train as train_verb
from convlab.runs.run import Run
from convlab.tracking import lightning, outbox, reach
from convlab.training.train import train

QUICK = [
    "experiment=digits_fully_connected",
    "scheduler=constant",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "model.hidden=8",
]
SAME = ("config.yaml", "history.csv", "curves.png", "model/raw.safetensors")  # with the server and without


SAME_EACH_TIME = "m.key NOT LIKE 'system/%' AND m.key != 'train/seconds'"


def settings(*overrides):
    return config.plain(config.compose("train", [*QUICK, *overrides]))


class At(pl.Callback):
    """Does something at the end of a training step."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_train_batch_end(self, trainer, *others):
        if trainer.global_step == self.step:
            self.act()


def told(database):
    """Every metric of each run but load and time, `(name, step, value)`, straight from the tables."""
    query = "SELECT r.name, m.key, m.step, m.value FROM metrics m JOIN runs r USING (run_uuid)"
    runs = {}
    with closing(sqlite3.connect(database)) as connection:
        for run, *metric in connection.execute(f"{query} WHERE {SAME_EACH_TIME}"):
            runs.setdefault(run, []).append(tuple(metric))
    return {name: sorted(metrics) for name, metrics in runs.items()}


def rows(database, query):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def undisturbed(project):
    """The metrics of a run that MLflow was told of at once, evaluated; its directory is runs/undisturbed."""
    directory = project / "runs" / "undisturbed"
    train(settings(), directory)
    evaluate.run(["undisturbed"])
    return told(project / "mlflow.db")["undisturbed"]


@pytest.fixture
def folder(project, tmp_path, monkeypatch):
    """Where MLflow's database should be, and can't: it is a file until the test makes it a folder."""
    folder = tmp_path / "away"
    folder.touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    return folder


def test_nothing_is_lost_while_the_database_is_away(undisturbed, folder, project, capsys):
    train(settings(), project / "runs" / "one")
    said = capsys.readouterr().out
    assert said.count("What it lacks is kept in runs/one/unsent.jsonl") == 1
    assert said.count("has not been reached: `convlab sync` sends what it lacks") == 1
    evaluate.run(["one"])
    for name in SAME:
        found, expected = ((project / "runs" / run / name).read_bytes() for run in ("one", "undisturbed"))
        assert found == expected, name
    assert sync.run([]) == 1
    assert "one: MLflow at sqlite:///" in capsys.readouterr().out

    folder.unlink()
    folder.mkdir()
    assert sync.run([]) == 0
    assert told(folder / "mlflow.db")["one"] == undisturbed
    assert len(undisturbed) > 2 * 31  # a loss a step, in two epochs
    assert "7 files, 1 model sent to sqlite" in capsys.readouterr().out
    assert sync.run([]) == 0
    assert capsys.readouterr().out == "Nothing waits: MLflow was told everything.\n"
    assert told(folder / "mlflow.db") == {"one": undisturbed}
    assert not (project / "runs" / "one" / outbox.NAME).exists()
    evaluate.run(["one"])
    assert len(rows(folder / "mlflow.db", "SELECT 1 FROM runs")) == 1


def test_what_another_address_lacks_waits_for_it(undisturbed, folder, project, capsys, monkeypatch):
    train(settings("logger.system_metrics=false"), project / "runs" / "one")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    capsys.readouterr()
    assert sync.run(["one"]) == 1
    said = capsys.readouterr().out
    assert said.startswith(
        f"one: waits for sqlite:///{folder}/mlflow.db, and MLFLOW_TRACKING_URI names mlflow.db"
    )
    assert set(told(project / "mlflow.db")) == {"undisturbed"}


def test_a_line_that_was_cut_off_costs_only_itself(project):
    box = outbox.Outbox(project / "runs" / "one")
    box.append({"do": "metrics", "to": "a", "n": 1})
    with box.path.open("a") as file:
        file.write('{"do": "metr')  # the power failed
    box.append({"do": "metrics", "to": "b", "n": 2})
    assert [event["n"] for event in box.waiting()] == [1, 2]
    with box.taking("a") as waiting:
        waiting.popleft()
    assert [event["n"] for event in box.waiting()] == [2]


def test_limits_that_the_user_set_stay(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    with reach.patience(7):
        limits = os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"], os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]
        assert limits == ("5", "7")
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


@pytest.fixture
def server(project, tmp_path, monkeypatch):
    """A server that is not started yet, and where MLflow is told."""
    (tmp_path / "server").mkdir()
    server = TrackingServer(tmp_path / "server")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url.replace("//", "//me:secret@"))
    monkeypatch.setattr(lightning, "FLUSH_EVERY_S", 0.0)  # so that some is sent before the server dies
    yield server
    server.kill()


def has_everything(server, project, undisturbed):
    """The server was told of run `one` what MLflow was told of the undisturbed one, once."""
    database = server.folder / "server.db"
    assert told(database)["one"] == undisturbed
    assert not list(project.rglob(outbox.NAME))
    ((run_id, status, tags, params),) = rows(
        database,
        "SELECT r.run_uuid, r.status, (SELECT group_concat(key || '=' || value) FROM tags t "
        "WHERE t.run_uuid = r.run_uuid), (SELECT count(*) FROM params p WHERE p.run_uuid = r.run_uuid) "
        "FROM runs r WHERE r.name = 'one'",
    )
    assert status == "FINISHED"
    assert params > 10
    assert "weights_hash=" in tags
    assert "**Test accuracy" in tags
    assert run_id == Run(project / "runs" / "one").state["mlflow"]["run_id"]
    assert files_of(server.folder / "artifacts" / "1" / run_id / "artifacts") == [
        *("checkpoints/best.ckpt", "config.yaml", "environment.txt"),
        *("figures/confusion.png", "figures/curves.png", "figures/mistakes.png"),
        *("history.csv", "metrics.json"),
    ]
    (model,) = rows(database, "SELECT model_id, status FROM logged_models")
    assert (server.folder / "artifacts" / "1" / "models" / model[0] / "artifacts" / "MLmodel").is_file()
    for name in SAME:
        found, expected = ((project / "runs" / run / name).read_bytes() for run in ("one", "undisturbed"))
        assert found == expected, name


def said_once(capsys):
    said = capsys.readouterr()
    assert said.out.count("can't be reached") == 1
    assert "secret" not in said.out + said.err
    assert "Traceback" not in said.err
    return said.out


@pytest.mark.slow
class TestServer:
    """A real one."""

    def test_it_is_not_there_when_training_begins(self, undisturbed, server, project, capsys):
        train(settings(), project / "runs" / "one")
        assert "MLflow at http://me:***@127.0.0.1:" in said_once(capsys)
        evaluate.run(["one"])
        with pytest.raises(ConvlabError, match=r"can't be reached \(no connection\)"):
            sync.run([])
        server.start()
        assert sync.run([]) == 0
        has_everything(server, project, undisturbed)

    def test_it_dies_in_the_middle_of_the_training(self, undisturbed, server, project, capsys):
        server.start()
        train(settings(), project / "runs" / "one", callbacks=[At(20, server.kill)])
        assert "runs/one/unsent.jsonl" in said_once(capsys)
        before = told(server.folder / "server.db")["one"]
        assert 10 < len(before) < len(undisturbed)
        evaluate.run(["one"])
        server.start()
        assert sync.run(["one"]) == 0
        has_everything(server, project, undisturbed)

    def test_it_dies_between_training_and_evaluation(self, undisturbed, server, project, capsys):
        server.start()
        train(settings(), project / "runs" / "one")
        server.kill()
        evaluate.run(["one"])
        said_once(capsys)
        server.start()
        assert sync.run(["one"]) == 0
        has_everything(server, project, undisturbed)

    def test_it_is_back_before_the_training_ends(self, undisturbed, server, project, capsys, monkeypatch):
        monkeypatch.setattr(reach, "ASK_AGAIN_S", 0.0)
        server.start()
        both = [At(20, server.kill), At(40, server.start)]
        train(settings(), project / "runs" / "one", callbacks=both)
        assert "is back, and has what it lacked" in said_once(capsys)
        evaluate.run(["one"])
        has_everything(server, project, undisturbed)
        assert sync.run([]) == 0
        assert "Nothing waits" in capsys.readouterr().out

    def test_it_accepts_and_never_answers(self, undisturbed, server, project, capsys):
        server.start()
        train(settings(), project / "runs" / "one", callbacks=[At(20, server.hold)])
        evaluate.run(["one"])
        assert "(no answer)" in said_once(capsys)
        with pytest.raises(ConvlabError, match=r"can't be reached \(no answer\)"):
            sync.run([])
        server.go_on()
        assert sync.run([]) == 0
        has_everything(server, project, undisturbed)

    def test_a_training_is_killed_and_resumed_meanwhile(self, undisturbed, server, project):
        """What came after the checkpoint is measured twice, with the same values."""
        code = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:]
import convlab
from test_away import At, settings
from convlab.training.train import train
die = At(40, lambda: os.kill(os.getpid(), signal.SIGKILL))
train(settings(), Path("runs/one"), callbacks=[die])
"""
        folders = [str(path) for path in sys.path if path.endswith("tests/support")]
        own = __file__.rpartition("/")[0]
        done = subprocess.run([sys.executable, "-c", code, own, *folders], capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        train(settings(), project / "runs" / "one")
        evaluate.run(["one"])
        server.start()
        assert sync.run([]) == 0
        assert set(told(server.folder / "server.db")["one"]) == set(undisturbed)
        assert len(rows(server.folder / "server.db", "SELECT 1 FROM runs")) == 1

    def test_sweeps_and_folds_are_sent_with_their_runs(self, server, project, capsys):
        own = [*QUICK, "trainer.max_epochs=1"]
        assert train_verb.run(["-m", *own, "seed=1,2"]) == 0
        assert cv.run([*own, "folds=2"]) == 0
        server.start()
        assert sync.run([]) == 0
        assert not list(project.rglob(outbox.NAME))
        database = server.folder / "server.db"
        query = (
            "SELECT r.name, p.name FROM runs r JOIN tags t USING (run_uuid) "
            "JOIN runs p ON p.run_uuid = t.value WHERE t.key = 'mlflow.parentRunId'"
        )
        groups = dict(rows(database, query))
        (sweep,) = (path.parent for path in project.glob("sweeps/*/sweep.json"))
        assert groups == {
            "digits_fully_connected_seed-1": f"sweep {sweep.name}",
            "digits_fully_connected_seed-2": f"sweep {sweep.name}",
            "fold-1_seed-1": "digits_fully_connected_cv",
            "fold-2_seed-1": "digits_fully_connected_cv",
        }
        metrics = told(database)
        ((_, _, mean),) = (each for each in metrics["digits_fully_connected_cv"] if each[0] == "cv/acc_mean")
        assert (
            mean
            == json.loads((project / "sweeps/digits_fully_connected_cv/cv.json").read_text())["acc"]["mean"]
        )
        assert [name for name, _, _ in metrics[f"sweep {sweep.name}"]] == ["best/test/acc"]
        assert {status for (status,) in rows(database, "SELECT status FROM runs")} == {"FINISHED"}
