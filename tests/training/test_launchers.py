"""Jobs on Hydra's launchers: processes of this machine, a SLURM and a Ray cluster on it."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
import slurm

from convlab.base import config, launchers, overriding
from convlab.base.errors import ConvlabError

QUICK = ["experiment=digits_fully_connected", "trainer.max_epochs=1", "model.hidden=8"]


@pytest.fixture(params=["joblib", "submitit_local", "submitit_slurm", "ray"])
def launcher(request, tmp_path, monkeypatch):
    """Its name; its cluster runs."""
    if request.param == "ray" and find_spec("ray") is None:
        pytest.skip("ray is not installed: make test-scale")
    if request.param != "submitit_slurm":
        yield request.param
        return
    if reason := slurm.missing():
        pytest.skip(reason)
    (tmp_path / "slurm").mkdir()
    with slurm.cluster(tmp_path / "slurm") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield request.param


def results(directory):
    return {
        path.parent.name: (state["status"], state.get("error"))
        for path in directory.glob("*/run.json")
        if (state := json.loads(path.read_text()))
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_failed_job_is_named_and_a_resume_runs_what_is_missing(convlab, project, launcher):
    words = ["train", "-m", *QUICK, "batch_size=32,-3", "seed=1,2", f"hydra/launcher={launcher}"]
    first = convlab(*words, check=False)
    assert first.returncode == 1, first.stdout + first.stderr
    (directory,) = (project / "sweeps").iterdir()
    name = "digits_fully_connected_batch_size-{}_seed-{}"
    refused = ("failed", "ConvlabError: batch_size=-3: expected at least 1.")
    expected = {name.format(32, seed): ("finished", None) for seed in (1, 2)}
    expected |= {name.format(-3, seed): refused for seed in (1, 2)}
    assert results(directory) == expected
    assert f"{name.format(-3, 1)} failed: {refused[1]}" in first.stdout
    assert "Traceback" not in first.stdout + first.stderr

    metrics = {seed: directory / name.format(32, seed) / "metrics.json" for seed in (1, 2)}
    measured = {seed: path.read_bytes() for seed, path in metrics.items()}
    kept = metrics[1].stat().st_mtime_ns
    metrics[2].unlink()
    again = convlab(*words, "sweep.resume=true", check=False)
    assert again.returncode == 1  # -3 is no better now
    assert results(directory) == expected
    assert {seed: path.read_bytes() for seed, path in metrics.items()} == measured
    assert metrics[1].stat().st_mtime_ns == kept

    alone = ["train", *QUICK, "batch_size=32", "seed=2", "name=alone", "evaluate=true"]
    convlab(*alone)
    ours, theirs = (
        json.loads(path.read_text()) for path in (project / "runs/alone/metrics.json", metrics[2])
    )
    assert theirs["test"] == pytest.approx(ours["test"], abs=1e-5)  # with as many threads, or fewer


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_folds_and_a_search_take_their_workers_from_it(convlab, project, launcher):
    on = f"hydra/launcher={launcher}"
    convlab("cv", *QUICK, "folds=3", "name=here")
    convlab("cv", *QUICK, "folds=3", "name=there", on)
    here, there = (json.loads((project / f"sweeps/{name}/cv.json").read_text()) for name in ("here", "there"))
    for ours, theirs in zip(here["jobs"], there["jobs"], strict=True):
        assert theirs == pytest.approx(ours, abs=1e-5)

    searched = ["sweep", *QUICK, "+search=unpruned", "search.num_trials=3", "name=found", "workers=2", on]
    convlab(*searched, "+search.space.optimizer.lr={low: 0.01, high: 0.1}")
    study = json.loads((project / "sweeps/found/study.json").read_text())
    assert [trial["state"] for trial in study["trials"]] == ["complete"] * 3
    assert not (project / "sweeps/found/workers").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "hydra/launcher=joblb",
            r"there is no hydra/launcher 'joblb'\. Did you mean 'joblib'\? Choices: .*basic, ",
        ),
        (
            "hydra/launcher=nix",
            r"there is no hydra/launcher 'nix'\. Choices: .*, ray, submitit_local, submitit_slurm",
        ),
        ("hydra/launcher=absent", r"hydra/launcher=absent needs: pip install 'convlab\[extra\]'"),
    ],
)
@pytest.mark.parametrize("verb", [["train", "-m", "seed=1,2"], ["cv"]], ids=["train", "cv"])
def test_a_launcher_that_is_not_there_is_named(project, monkeypatch, verb, word, message, capsys):
    from convlab.cli.main import main

    monkeypatch.setitem(launchers.NEEDED, "absent", ("convlab.nowhere", "extra"))
    assert main([*verb, *QUICK, word]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(ConvlabError, match=message):
        config.compose("train", [word])
    assert not (project / "sweeps").exists()


def test_what_is_hydras_is_split_from_the_experiments():
    words = ["experiment=lenet", "hydra/launcher=joblib", "+hydra.launcher.n_jobs=2", "name=hydra"]
    own, others = launchers.split(words)
    assert (own, others) == (
        ["hydra/launcher=joblib", "+hydra.launcher.n_jobs=2"],
        ["experiment=lenet", "name=hydra"],
    )


def test_combinations_are_counted():
    parsed = overriding.parse(["experiment=a,b", "seed=range(1,4)", "batch_size=32"])
    assert overriding.number_of_jobs(parsed) == 2 * 3
    assert overriding.number_of_jobs(overriding.parse(["seed=1,2", "hydra/sweeper=own"])) == 0


@pytest.mark.slow
def test_srun_starts_the_processes_of_one_training(convlab, project, tmp_path, monkeypatch):
    if reason := slurm.missing():
        pytest.skip(reason)
    common = ["train", *QUICK, "evaluate=true"]
    convlab(*common, "name=one")
    (tmp_path / "slurm").mkdir()
    with slurm.cluster(tmp_path / "slurm") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        words = ["srun", "--nodes=1", "--ntasks-per-node=2", sys.executable, "-m", "convlab", *common]
        done = subprocess.run(
            [*words, "name=two", "trainer.devices=2"], cwd=project, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Trained two") == 1
    one, two = (json.loads((project / f"runs/{name}/metrics.json").read_text()) for name in ("one", "two"))
    assert two["test"]["acc"] == one["test"]["acc"]
    assert two["test"]["loss"] == pytest.approx(one["test"]["loss"], abs=1e-5)
