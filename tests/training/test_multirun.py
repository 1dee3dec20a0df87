"""A multirun of real trainings: one parent, a failed job, and only what is missing afterwards."""

import json
import shutil
import sqlite3

import pytest

from convlab.base import config
from convlab.cli.commands import train
from convlab.runs.run import Run
from convlab.training import multirun

QUICK = ["experiment=digits_fully_connected", "trainer.max_epochs=1", "model.hidden=8"]


def statuses(directory):
    return {path.parent.name: json.loads(path.read_text())["status"] for path in directory.glob("*/run.json")}


@pytest.mark.slow
def test_a_sweep_with_a_failing_job_and_its_resumption(convlab, project):
    overrides = [*QUICK, "batch_size=32,-3", "seed=1,2"]
    first = convlab("train", "-m", *overrides, check=False)
    assert first.returncode == 1
    (directory,) = (project / "sweeps").iterdir()
    name = "digits_fully_connected_batch_size-{}_seed-{}"
    expected = {
        name.format(size, seed): status
        for size, status in ((32, "finished"), (-3, "failed"))
        for seed in (1, 2)
    }
    assert statuses(directory) == expected
    assert f"{name.format(-3, 1)} failed: ConvlabError: batch_size=-3: expected at least 1." in first.stdout
    assert "sweep.resume=true runs only what is missing" in first.stdout

    lost = directory / name.format(32, 2)
    (lost / "run.json").unlink()  # as if it had never run
    kept = (directory / name.format(32, 1) / "metrics.json").stat().st_mtime_ns
    second = convlab("train", "-m", *overrides, "sweep.resume=true", check=False)
    assert second.returncode == 1  # batch_size=-3 is no better now
    assert list((project / "sweeps").iterdir()) == [directory]
    assert statuses(directory) == expected
    assert second.stdout.count("finished earlier, kept") == 1
    assert (directory / name.format(32, 1) / "metrics.json").stat().st_mtime_ns == kept
    assert_one_parent_with_named_children(project / "mlflow.db", directory, set(expected))


def test_a_resumed_sweep_s_jobs_keep_the_settings_of_an_undisturbed_one(project):
    words = ["-m", *QUICK, "logger=none", "+trainer.limit_train_batches=1", "seed=1,2"]
    assert train.run(words) == 0
    (directory,) = (project / "sweeps").iterdir()
    kept = {path.parent.name: path.read_bytes() for path in directory.glob("*/config.yaml")}
    assert len(kept) == 2
    shutil.rmtree(directory / max(kept))
    assert train.run([*words, "sweep.resume=true"]) == 0
    assert {path.parent.name: path.read_bytes() for path in directory.glob("*/config.yaml")} == kept


def test_a_value_of_the_wrong_type_fails_its_job_in_one_line(project, capsys):
    quick = [*QUICK, "logger=none", "+trainer.limit_train_batches=1"]
    assert train.run(["-m", *quick, "seed=1,1.5"]) == 1
    (directory,) = (project / "sweeps").iterdir()
    assert set(statuses(directory).values()) == {"finished", "failed"}
    told = capsys.readouterr()
    assert "seed-1.5 failed: ConvlabError: seed=1.5: expected" in told.out
    assert "Traceback" not in told.out + told.err


def assert_one_parent_with_named_children(database, directory, names):
    """Read MLflow's own tables, not through convlab."""
    with sqlite3.connect(database) as connection:
        runs = dict(connection.execute("SELECT run_uuid, name FROM runs"))
        parents = dict(
            connection.execute("SELECT run_uuid, value FROM tags WHERE key = 'mlflow.parentRunId'")
        )
        metrics = connection.execute("SELECT run_uuid FROM latest_metrics WHERE key = 'test/acc'").fetchall()
    connection.close()
    (parent,) = [run for run, name in runs.items() if name == f"sweep {directory.name}"]
    assert set(parents.values()) == {parent}
    assert {runs[run] for run in parents} == names
    assert {run for (run,) in metrics} <= set(parents)


def test_a_job_counts_as_finished_only_with_the_same_settings(project):
    settings = config.plain(config.compose("train", ["experiment=patches_linear_head"]))
    assert settings["model"]["num_inputs"] is None
    Run(project).update_state(status="finished")
    config.save({**settings, "model": {**settings["model"], "num_inputs": 8}}, project / "config.yaml")
    assert not multirun.finished(project, settings)  # not measured yet
    (project / "metrics.json").touch()
    assert multirun.finished(project, settings)
    assert not multirun.finished(project, {**settings, "batch_size": 7})


def test_resuming_what_never_ran_is_refused(convlab):
    done = convlab("train", "-m", *QUICK, "seed=1,2", "sweep.resume=true", check=False)
    assert done.returncode == 1
    assert "no sweep in" in done.stderr
    assert "has the overrides" in done.stderr
