"""Whoever kills `dvc repro` has killed the training, too: none goes on beside the next command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

BIN = Path(sys.executable).parent
TRAIN = (
    "convlab train experiment=digits_fully_connected logger=none trainer.max_epochs={epochs} name=one "
    "scheduler=constant"
)
STAGE = """
stages:
  train:
    cmd: {command}
    outs:
      - runs/one/config.yaml
      - runs/one/model
    plots:
      - runs/one/history.csv
"""
ENDED_WITHIN_S = 10


def wait_for(found, process):
    until = time.monotonic() + 120
    while not found():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def dvc(project, monkeypatch):
    """Start `dvc` in a project without Git; what it and its stages say goes to said.txt."""
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("SHELL", "/bin/sh")

    def start(*words):
        with (project / "said.txt").open("w") as said:  # the end of a pipe would end them, too
            return subprocess.Popen([BIN / "dvc", *words], cwd=project, stdout=said, stderr=said)

    assert start("init", "--no-scm", "-q").wait() == 0
    return start


@pytest.mark.slow
@pytest.mark.parametrize("behind", ["", " && true"], ids=["alone", "in-a-shell"])
def test_a_training_ends_with_the_dvc_that_started_it(project, dvc, behind):
    """With more than one command, a shell stays in between."""
    file = project / "dvc.yaml"
    file.write_text(STAGE.format(command=TRAIN.format(epochs=100_000) + behind))
    first = dvc("repro")
    wait_for((project / "runs/one/checkpoints/last.ckpt").is_file, first)
    below = psutil.Process(first.pid).children(recursive=True)
    assert any("convlab" in " ".join(each.cmdline()) for each in below)
    first.send_signal(signal.SIGKILL)
    first.wait()
    _, alive = psutil.wait_procs(below, timeout=ENDED_WITHIN_S)
    for each in alive:
        each.kill()
    assert not alive
    rows = len((project / "runs/one/history.csv").read_text().splitlines())
    file.write_text(STAGE.format(command=TRAIN.format(epochs=rows + 1) + " resume=latest"))
    status = dvc("repro").wait(timeout=300)
    said = (project / "said.txt").read_text()
    assert status == 0, said
    assert "Resuming one from step" in said


PARENT = """
import subprocess, sys
from pathlib import Path
child = subprocess.Popen({command!r}, shell={shell})
print(child.pid, flush=True)
child.wait()
"""
CHILD = (
    "import sys, time; sys.path.insert(0, {source!r}); from convlab.base import orphans; "
    "orphans.end_with_dvc(); print('ready', flush=True); time.sleep(60)"
)


@pytest.mark.parametrize("stage", [True, False], ids=["stage", "by-hand"])
@pytest.mark.parametrize("shell", [False, True], ids=["alone", "in-a-shell"])
def test_only_a_stage_ends_with_what_started_it(stage, shell):
    """What a person puts into the background of a shell goes on when the shell ends."""
    import convlab

    code = CHILD.format(source=str(Path(convlab.__file__).parents[1]))
    command = f'{sys.executable} -c "{code}"; true' if shell else [sys.executable, "-c", code]
    environment = {key: value for key, value in os.environ.items() if key != "DVC_STAGE"}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(command=command, shell=shell)],
        env=environment | ({"DVC_STAGE": "train"} if stage else {}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert {parent.stdout.readline().strip().isdecimal(), parent.stdout.readline()} == {True, "ready\n"}
    below = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(below, timeout=ENDED_WITHIN_S if stage else 1)
    for each in alive:
        each.kill()
    parent.stdout.close()
    assert bool(alive) is not stage
