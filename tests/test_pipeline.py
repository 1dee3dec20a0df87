"""The sample's branch of the graph in a fresh clone, as `make demo` runs it: offline, and once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def run(*command, cwd):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CONVLAB_", "MLFLOW_"))}
    # the clone's code, and any way out to a network leads to a closed door
    env |= {"PYTHONPATH": str(cwd / "src"), "PATH": f"{BIN}:{env['PATH']}"}
    env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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
def test_equal_runs_make_equal_files(clone, first):
    """Trained again from nothing, every output has the same hash: the lock file does not change."""
    lock = (clone / "dvc.lock").read_text()
    run("dvc", "repro", "--force", "--single-item", "train@digits_lenet5", cwd=clone)
    run("dvc", "repro", "--force", "--single-item", "evaluate@digits_lenet5", cwd=clone)
    run("dvc", "repro", "--force", "--single-item", "compare@sample", cwd=clone)
    assert (clone / "dvc.lock").read_text() == lock


@pytest.mark.timeout(300)
def test_a_changed_number_trains_only_what_uses_it(clone, first):
    path = clone / "conf" / "experiment" / "patches_linear_head.yaml"
    before = path.read_text()
    path.write_text(before.replace("lr: 0.01", "lr: 0.02"))
    planned = run("dvc", "status", "--with-deps", "compare@sample", cwd=clone)
    path.write_text(before)
    assert "train@patches_linear_head" in planned
    for other in ("train@digits_lenet5", "features@patches_resnet18_random", "train@digits_fully_connected"):
        assert f"{other}:" not in planned


def changes(directory):
    lines = run("git", "status", "--porcelain", cwd=directory).splitlines()
    return {line[3:] for line in lines}
