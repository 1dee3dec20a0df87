"""One training in several processes: what one would give, and what happens when one of them dies."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from convlab.base import config, ranks
from convlab.base.errors import ConvlabError
from convlab.cli.main import main
from convlab.training import distributed
from convlab.training.train import train

# 1,000 digits: the last batch has one, and nothing for a second process
QUICK = ["experiment=digits_fully_connected", "trainer.max_epochs=2", "model.hidden=32", "batch_size=333"]
# with dropout; a checkpoint lies within an epoch, too
LONG = ["experiment=digits_fully_connected", "model=lenet", "+trainer.limit_train_batches=12"]
LONG += [
    "trainer.max_epochs=8",
    "checkpoint.monitor=null",
    "checkpoint.every_n_steps=5",
    "trainer.log_every_n_steps=5",
]
ENDED_WITHIN_S = 60


def settings(*overrides):
    return config.plain(config.compose("train", [*QUICK, "logger=none", *overrides]))


def history(run_dir):
    with (run_dir / "history.csv").open(newline="") as file:
        return [[float(value) for value in row.values()] for row in csv.DictReader(file)]


def assert_equal_weights(one, two, atol):
    files = sorted(path.name for path in (one / "model").glob("*.safetensors"))
    assert files == sorted(path.name for path in (two / "model").glob("*.safetensors")) != []
    for name in files:
        first, second = load_file(one / "model" / name), load_file(two / "model" / name)
        for key, tensor in first.items():
            torch.testing.assert_close(second[key], tensor, atol=atol, rtol=0)


def test_two_processes_give_what_one_does(project):
    common = ("averaging.decay=0.9", "+trainer.limit_val_batches=2")
    one, two = project / "runs" / "one", project / "runs" / "two"
    train(settings(*common), one)
    handlers = signal.getsignal(signal.SIGTERM)
    train(settings(*common, "trainer.devices=2", "trainer.strategy=ddp"), two)
    assert signal.getsignal(signal.SIGTERM) is handlers
    assert_equal_weights(one, two, 1e-5)
    for alone, shared in zip(history(one), history(two), strict=True):
        assert shared == pytest.approx(alone, abs=1e-5)
    left = [sorted(str(path.relative_to(run)) for path in run.rglob("*")) for run in (one, two)]
    assert left[0] == left[1]
    hashes = [json.loads((run / "run.json").read_text())["lineage"]["config_hash"] for run in (one, two)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("changes", "started", "message"),
    [
        ({"devices": 2, "num_nodes": 2}, 1, r"num_nodes=2: convlab starts processes on this machine alone"),
        (
            {"devices": 2, "strategy": "fsdp"},
            1,
            r"strategy=fsdp: several devices train by ddp, .*one of: auto",
        ),
        ({"devices": "a"}, 1, r"trainer\.devices=a"),
        ({"devices": 2}, 3, r"3 processes were started, .*devices=2 and .* ask for 2"),
        ({"devices": 1}, 2, r"2 processes were started, but trainer\.devices=1 and .* ask for 1"),
    ],
)
def test_what_does_not_fit_is_refused(project, monkeypatch, changes, started, message):
    monkeypatch.setenv("WORLD_SIZE", str(started))
    with pytest.raises(ConvlabError, match=message) as error:
        distributed.others_to_start({"accelerator": "cpu", "devices": 1, "strategy": "auto"} | changes)
    assert "\n" not in str(error.value)


def test_alone_nothing_is_started(project, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")  # of a batch script, which runs once
    assert distributed.others_to_start(settings()["trainer"]) == 0
    assert ranks.leads()
    monkeypatch.setenv("RANK", "1")
    assert not ranks.leads()


@pytest.mark.slow
def test_an_error_of_all_processes_is_one_line(convlab, project):
    done = convlab("train", *QUICK, "name=one", "trainer.devices=2", "optimizer.lr=-1", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "convlab train: torch.optim.SGD refuses its settings (ValueError: Invalid learning rate: -1)"
    )
    assert not (project / "runs" / "one").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_others_and_the_same_command_resumes(convlab, project, rank):
    """Dropout included: the checkpoint has the random state of each process."""
    command = ["train", *LONG, "trainer.devices=2"]
    convlab(*command, "name=undisturbed")
    words = [sys.executable, "-m", "convlab", *command, "name=killed"]
    training = subprocess.Popen(words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert training.stdout is not None
    for line in training.stdout:
        if line.startswith("epoch   2"):
            break
    os.kill(processes_of(training.pid)[rank], signal.SIGKILL)
    killed = time.monotonic()
    _, said = training.communicate(timeout=ENDED_WITHIN_S)
    assert time.monotonic() - killed < ENDED_WITHIN_S
    died = f"process {rank + 1} of 2 was ended by SIGKILL. The others were ended; the same command resumes."
    assert said == f"convlab train: {died}\n"
    state = json.loads((project / "runs" / "killed" / "run.json").read_text())
    assert (state["status"], state["error"]) == ("failed", f"ConvlabError: {died}")

    assert "Resuming killed from step" in convlab(*command, "name=killed").stdout
    one, two = project / "runs" / "undisturbed", project / "runs" / "killed"
    assert_equal_weights(one, two, 0)
    assert (one / "history.csv").read_bytes() == (two / "history.csv").read_bytes()


def processes_of(pid: int) -> list[int]:
    """The children that train, by rank: they were started in that order."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    trains = [
        int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    assert len(trains) == 2
    return sorted(trains)


@pytest.mark.slow
def test_torchrun_starts_it(convlab, project):
    common = ["train", *QUICK, "evaluate=true"]
    convlab(*common, "name=one")
    words = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "convlab",
    ]
    words += [*common, "name=two", "trainer.devices=2"]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Trained two") == 1
    assert_equal_weights(project / "runs" / "one", project / "runs" / "two", 1e-5)
    one, two = (json.loads((project / f"runs/{name}/metrics.json").read_text()) for name in ("one", "two"))
    assert two["test"]["acc"] == one["test"]["acc"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: make test-scale")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_ray_train_starts_it(convlab, project):
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    def work(settings: dict[str, object]) -> None:  # in here, so that it is sent as it is
        os.environ |= settings["environment"]
        os.chdir(settings["folder"])
        assert main(settings["words"]) == 0

    common = ["train", *QUICK, "logger=none"]
    convlab(*common, "name=one")
    environment = {"CONVLAB_PROJECT": str(project), "CUDA_VISIBLE_DEVICES": ""}
    words = [*common, "name=two", "trainer.devices=2"]
    ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        TorchTrainer(
            work,
            train_loop_config={"environment": environment, "folder": str(project), "words": words},
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(storage_path=str(project / "ray")),
        ).fit()
    finally:
        ray.shutdown()
    assert_equal_weights(project / "runs" / "one", project / "runs" / "two", 1e-5)
