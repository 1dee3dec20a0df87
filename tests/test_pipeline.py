"""The sample's branch of the graph in a fresh clone, as `make demo` runs it: offline, and once."""

import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from warm import commands

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What git tracks or would track, committed in a repository of its own."""
    directory = tmp_path_factory.mktemp("clone") / "convlab"
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes((ROOT / name).read_bytes())
    run("git", "init", "-q", cwd=directory)
    run("git", "add", "-A", cwd=directory)
    run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "all", cwd=directory)
    return directory


@pytest.fixture(scope="module", autouse=True)
def warm(clone):
    """Its code, imported once for all stages."""
    with commands(clone / "src") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{BIN}:{os.environ['PATH']}")
        yield


def run(*command, cwd, fails=False):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CONVLAB_", "MLFLOW_"))}
    # the clone's code, and any way out to a network leads to a closed door
    env |= {"PYTHONPATH": str(cwd / "src")}
    env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert fails is None or (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr if fails else done.stdout


@pytest.fixture(scope="module")
def first(clone):
    """What the first `dvc repro` of the sample's branch says."""
    return run("dvc", "repro", "compare@sample", cwd=clone)


@pytest.mark.timeout(400)
def test_the_sample_runs_once_and_leaves_nothing_unexpected(clone, first):
    for heading in ("digits (500 test images)", "patches ("):
        assert heading in first
    metrics = {
        name: json.loads((clone / "runs" / name / "metrics.json").read_text())
        for name in ("digits_fully_connected", "digits_lenet5", "patches_linear_head")
    }
    assert metrics["digits_lenet5"]["test"]["acc"] > 0.94
    assert metrics["patches_linear_head"]["test"]["acc"] > 0.8
    assert "<html" in (clone / "reports/sample/comparison.html").read_text()
    assert changes(clone) <= {"dvc.lock"}

    second = run("dvc", "repro", "compare@sample", cwd=clone)
    assert "Running stage" not in second
    assert "up to date" in run("dvc", "status", "--with-deps", "compare@sample", cwd=clone)


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_equal_runs_make_equal_files(clone, first):
    """Trained again from nothing, every output has the same hash: the lock file does not change."""
    lock = (clone / "dvc.lock").read_text()
    run("dvc", "repro", "--force", "--single-item", "train@digits_lenet5", cwd=clone)
    run("dvc", "repro", "--force", "--single-item", "evaluate@digits_lenet5", cwd=clone)
    run("dvc", "repro", "--force", "--single-item", "compare@sample", cwd=clone)
    assert (clone / "dvc.lock").read_text() == lock


@pytest.mark.timeout(300)
def test_what_decides_no_result_trains_nothing(clone, first):
    """A comment, and keys of stages that have other concerns: only the settings are composed again."""
    edits = {
        "experiment/digits_lenet5.yaml": ("batch_size: 32", "# as before\nbatch_size: 32"),
        "train.yaml": ("evaluate: false", "evaluate: true"),
        "gate.yaml": ("max_calibration_error: 0.1", "max_calibration_error: 0.2"),
    }
    with edited(clone, edits):
        assert ran(run("dvc", "repro", "compare@sample", cwd=clone)) == {"compose"}


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_changed_number_trains_what_uses_it_and_renews_its_report(clone, first):
    edits = {"experiment/patches_linear_head.yaml": ("lr: 0.01", "lr: 0.02")}
    with edited(clone, edits):
        stages = ran(run("dvc", "repro", "compare@sample", cwd=clone))
    head = {f"{stage}@patches_linear_head" for stage in ("train", "evaluate")}
    assert stages == {"compose", *head, "compare@sample"}


def test_an_outdated_list_is_said(clone, first):
    with edited(clone, {"experiment/lenet_tf1.yaml": ("batch_size: 100", "report: sample\nbatch_size: 100")}):
        said = run("dvc", "repro", "compose", cwd=clone, fails=True)
    assert "run `convlab pipeline`" in said


@contextmanager
def edited(clone, edits):
    """Files of conf/ with one text in place of another; as before at the end, and so is what DVC made."""
    before = {name: (clone / "conf" / name).read_text() for name in edits}
    lock = (clone / "dvc.lock").read_text()
    for name, (old, new) in edits.items():
        assert before[name].count(old) == 1, name
        (clone / "conf" / name).write_text(before[name].replace(old, new))
    yield
    for name, text in before.items():
        (clone / "conf" / name).write_text(text)
    (clone / "dvc.lock").write_text(lock)
    run("dvc", "checkout", "--force", "--quiet", cwd=clone, fails=None)


def ran(output):
    """The stages that `dvc repro` ran."""
    return set(re.findall(r"Running stage '([^']+)'", output))


def changes(directory):
    lines = run("git", "status", "--porcelain", cwd=directory).splitlines()
    return {line[3:] for line in lines}


def test_the_commands_of_dvc_that_a_page_names_run(clone, first):
    page = (clone / "docs" / "how-to" / "browse.md").read_text()
    block = page.partition("## DVC")[2].partition("```bash elsewhere\n")[2].partition("```")[0]
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [command[:3] for command in commands] == [["dvc", "plots", "show"], ["dvc", "exp", "show"]]
    said = [run(*command, cwd=clone) for command in commands]
    assert "dvc_plots/index.html" in said[0]
    plotted = (clone / "dvc_plots" / "index.html").read_text()
    assert "digits_lenet5" in plotted
    assert "val/acc" in plotted
    assert "workspace" in said[1]
