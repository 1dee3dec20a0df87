"""Searches of real, tiny trainings: to the end, pruned, killed, by several workers, in both databases."""

import csv
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import pytest

from convlab.cli import main as cli
from convlab.cli.commands import sweep

SPACE = (
    "+search.space={optimizer: {lr: {low: 0.001, high: 0.3, log: true}}, model: {hidden: {choices: [4, 8]}}}"
)
QUICK = ["experiment=digits_fully_connected", "trainer.max_epochs=1", "name=found", "+search=unpruned", SPACE]


def trials(project, name="found"):
    return json.loads((project / "sweeps" / name / "study.json").read_text())["trials"]


def best_val_acc(project, number):
    with (project / "sweeps" / "found" / str(number) / "history.csv").open(newline="") as file:
        return max(float(row["val/acc"]) for row in csv.DictReader(file))


def test_a_search_ends_goes_on_and_tells_how_to_train_its_best(project, capsys):
    words = [*QUICK, "logger=none"]
    assert sweep.run([*words, "search.num_trials=4"]) == 0
    found = trials(project)
    assert [trial["state"] for trial in found] == ["complete"] * 4
    assert [trial["value"] for trial in found] == [best_val_acc(project, number) for number in range(4)]
    assert len({trial["parameters"]["optimizer.lr"] for trial in found}) == 4
    assert not list(project.glob("sweeps/found/*/metrics.json"))  # the test images took no part
    assert "Importance: " in capsys.readouterr().out

    weights = {path: path.stat().st_mtime_ns for path in project.glob("sweeps/found/*/model/raw.safetensors")}
    assert sweep.run([*words, "search.num_trials=5"]) == 0
    assert [trial["value"] for trial in trials(project)[:4]] == [trial["value"] for trial in found]
    assert len(trials(project)) == 5
    assert all(path.stat().st_mtime_ns == at for path, at in weights.items())

    printed = capsys.readouterr().out
    (command,) = [line for line in printed.splitlines() if "convlab train " in line]
    assert cli.main(command.partition("convlab ")[2].split()) == 0
    best = max(trials(project), key=lambda trial: trial["value"])
    saved = (project / "sweeps" / "found" / str(best["number"]) / "model" / "raw.safetensors").read_bytes()
    assert (project / "runs" / "found_best" / "model" / "raw.safetensors").read_bytes() == saved


@pytest.mark.slow
def test_pruned_trials_are_children_that_did_not_fail(project):
    pruner = ["search.pruner._target_=optuna.pruners.ThresholdPruner", "+search.pruner.lower=0.999"]
    words = [*QUICK, "trainer.max_epochs=3", "search.num_trials=2", *pruner]
    assert sweep.run(words) == 0
    for trial in trials(project):
        assert (trial["state"], len(trial["values"])) == ("pruned", 1)
        directory = project / "sweeps" / "found" / str(trial["number"])
        assert json.loads((directory / "run.json").read_text())["status"] == "pruned"
        assert (directory / "model" / "model.json").is_file()
        assert trial["value"] == best_val_acc(project, trial["number"])
    assert "<svg" in (project / "sweeps" / "found" / "report.html").read_text()
    with sqlite3.connect(project / "mlflow.db") as connection:
        runs = {
            run: (name, status)
            for run, name, status in connection.execute("SELECT run_uuid, name, status FROM runs")
        }
        tags = connection.execute("SELECT key, run_uuid, value FROM tags").fetchall()
    connection.close()
    parents = {run: value for key, run, value in tags if key == "mlflow.parentRunId"}
    (parent,) = set(parents.values())
    assert runs.pop(parent) == ("sweep found", "FINISHED")
    assert sorted(runs.values()) == [("0", "FINISHED"), ("1", "FINISHED")]
    assert (
        {run for key, run, value in tags if key == "pruned" and value == "True"} == set(runs) == set(parents)
    )


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.slow
def test_an_interrupted_trial_goes_on_from_its_checkpoint(project, ending, capsys):
    words = [*QUICK, "logger=none", "trainer.max_epochs=15", "search.num_trials=1", "search.grace_s=2"]
    checkpoint = project / "sweeps" / "found" / "0" / "checkpoints" / "last.ckpt"
    command = [sys.executable, "-m", "convlab", "sweep", *words]
    process = subprocess.Popen(
        command,
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # where the tests run in the background of a script, they and their processes ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not checkpoint.is_file():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(ending)
    assert process.wait() == (130 if ending == signal.SIGINT else -signal.SIGKILL)
    told = (project / "sweeps" / "found" / "0" / "history.csv").read_text().splitlines()
    assert len(told) < 15  # its heading, and fewer than 15 epochs

    assert sweep.run(words) == 0
    assert "1 trial: 1 complete." in capsys.readouterr().out
    assert sweep.run([*words, "name=undisturbed"]) == 0
    (trial,), (undisturbed,) = trials(project), trials(project, "undisturbed")
    assert len(trial["values"]) == 15
    for key in ("number", "state", "value", "values", "parameters"):
        assert trial[key] == undisturbed[key]


def test_failing_trials_are_named_and_do_not_go_on_for_ever(project, capsys):
    space = "+search.space={optimizer: {lr: {choices: [-3.0, -4.0]}}}"
    words = ["experiment=digits_fully_connected", "name=found", "logger=none", "+search=unpruned", space]
    assert cli.main(["sweep", *words]) == 1
    told = capsys.readouterr()
    refused = "ConvlabError: torch.optim.SGD refuses its settings (ValueError: Invalid learning rate: -"
    assert f"3 trials failed one after another, the last with {refused}" in told.err
    assert f"trial 0 failed: {refused}" in told.out
    assert Counter(trial["state"] for trial in trials(project)) == {"failed": 3}


@pytest.mark.parametrize("words", [["workers=0"], ["workers=two"], ["workers="]])
def test_what_is_no_number_of_workers_is_refused(project, words, capsys):
    assert cli.main(["sweep", *QUICK, *words]) == 1
    assert f"{words[0]}: expected a whole number, at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_two_workers_share_a_study_in_sqlite(project, convlab):
    convlab("sweep", *QUICK, "workers=2", "search.num_trials=6")
    found = trials(project)
    assert [trial["state"] for trial in found] == ["complete"] * 6
    assert len({trial["parameters"]["optimizer.lr"] for trial in found}) == 6
    with sqlite3.connect(project / "mlflow.db") as connection:
        statuses = connection.execute("SELECT status FROM runs").fetchall()
    connection.close()
    assert statuses == [("FINISHED",)] * 7
