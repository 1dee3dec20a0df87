"""A whole training on the sample's digits: what it leaves behind, and going on after kill -9."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from omegaconf import OmegaConf

from convlab.base import config
from convlab.base.errors import ConvlabError
from convlab.cli.commands import train as command
from convlab.models import saved
from convlab.runs import model_file
from convlab.runs.run import Run
from convlab.tracking import store
from convlab.training.evaluation import evaluate
from convlab.training.train import train

QUICK = ["experiment=digits_fully_connected", "trainer.max_epochs=2", "model.hidden=32"]


@pytest.fixture
def settings(project):
    def compose(*overrides, logger="none"):
        return config.plain(config.compose("train", [*QUICK, f"logger={logger}", *overrides]))

    return compose


def weights(run_dir):
    return model_file.read(run_dir / "model").weights


def test_a_run_leaves_what_runs_py_lists(settings, project):
    run_dir = project / "runs" / "one"
    train(settings("averaging.decay=0.9"), run_dir)
    evaluate(run_dir)
    found = {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}
    assert found == {
        "config.yaml",
        "model/model.json",
        "model/raw.safetensors",
        "model/averaged.safetensors",
        "history.csv",
        "curves.png",
        "confusion.png",
        "mistakes.png",
        "metrics.json",
        "predictions.npz",
        "images/images.json",
        "images/000.webp",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "run.json",
    }
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["weights"] == "averaged"
    assert metrics["test"]["num_images"] == metrics["test_raw"]["num_images"] == 500
    assert metrics["num_parameters"] == 784 * 32 + 32 + 32 * 10 + 10
    assert metrics["test"]["acc"] > 0.8
    assert Run(run_dir).state["status"] == "finished"


def test_the_same_configuration_gives_the_same_weights(settings, project):
    for name in ("one", "two"):
        train(settings(), project / "runs" / name)
    train(settings("seed=2"), project / "runs" / "three")
    one, two, three = (weights(project / "runs" / name) for name in ("one", "two", "three"))
    assert one == two != three


def test_channels_last_changes_where_values_lie_and_little_else(project):
    states = []
    for channels_last in ("false", "true"):
        words = ["experiment=digits_lenet5", "trainer.max_epochs=1", "logger=none"]
        words.append(f"channels_last={channels_last}")
        train(config.plain(config.compose("train", words)), project / "runs" / channels_last)
        states.append(saved.load(project / "runs" / channels_last / "model").state_dict())
    for name, values in states[0].items():
        assert torch.allclose(states[1][name], values, atol=1e-3), name  # sums in a different order
    assert not all(torch.equal(states[1][name], values) for name, values in states[0].items())


def test_augmented_training_repeats_itself(settings, project):
    augmented = "data.module.augmentation={_target_: convlab.data.augmentation.Affine, shift: 2.0}"
    for name in ("one", "two"):
        train(settings(augmented), project / "runs" / name)
    train(settings(), project / "runs" / "plain")
    one, two, plain = (weights(project / "runs" / name) for name in ("one", "two", "plain"))
    assert one == two != plain


def test_the_model_is_the_best_epoch_not_the_last(settings, project):
    # a rate that destroys the network in the second epoch
    overrides = ["scheduler=constant", "optimizer.lr=0.05", "trainer.max_epochs=1"]
    train(settings(*overrides), project / "runs" / "one")
    overrides = [*overrides[:2], "trainer.max_epochs=2", "resume=latest"]
    state = torch.load(project / "runs/one/checkpoints/last.ckpt", weights_only=True)
    for group in state["optimizer_states"][0]["param_groups"]:
        group["lr"] = 100.0
    torch.save(state, project / "runs/one/checkpoints/last.ckpt")
    before = weights(project / "runs" / "one")
    train(settings(*overrides), project / "runs" / "one")
    assert model_file.read(project / "runs/one/model").epoch == 1
    assert weights(project / "runs" / "one") == before


def test_max_steps_end_an_epoch_early_with_a_validation(settings, project):
    train(settings("scheduler=constant", "++trainer.max_steps=3"), project / "runs" / "one")
    assert torch.load(project / "runs/one/checkpoints/best.ckpt", weights_only=True)["global_step"] == 3
    for steps in (0, -2):
        with pytest.raises(ConvlabError, match=f"max_steps={steps}: expected at least 1"):
            train(settings(f"++trainer.max_steps={steps}"), project / "runs" / "two")


@pytest.mark.filterwarnings("ignore:.*could not find the monitored key:UserWarning")  # Lightning's own
def test_without_validation_there_is_no_best_epoch(settings, project):
    with pytest.raises(ConvlabError, match=r"no epoch was validated, so none is the best by .*val/acc"):
        train(settings("+trainer.limit_val_batches=0"), project / "runs" / "one")


def killed_in_training(arguments, project):
    """Start a training, and kill -9 it once it has written a checkpoint."""
    command = [sys.executable, "-m", "convlab", "train", *arguments]
    process = subprocess.Popen(command, cwd=project, env=os.environ, stdout=subprocess.DEVNULL)
    last = project / "runs" / "killed" / "checkpoints" / "last.ckpt"
    while not last.is_file():
        assert process.poll() is None, "it ended before it wrote a checkpoint"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    "every_n_steps",
    [pytest.param("null", id="epoch", marks=pytest.mark.slow), pytest.param("7", id="mid-epoch")],
)
def test_killed_and_resumed_is_as_if_undisturbed(convlab, project, every_n_steps):
    common = ["experiment=digits_fully_connected", "model=lenet", "logger=none", "trainer.max_epochs=3"]
    common += ["+trainer.limit_train_batches=10", "+trainer.limit_val_batches=1"]
    common += ["averaging.decay=0.99", f"checkpoint.every_n_steps={every_n_steps}"]  # and lenet has dropout
    convlab("train", *common, "name=undisturbed")
    killed_in_training([*common, "name=killed"], project)
    state = Run(project / "runs" / "killed").state
    assert state["status"] == "running"
    again = convlab("train", *common, "name=killed")
    assert "Resuming killed from step" in again.stdout
    assert weights(project / "runs" / "killed") == weights(project / "runs" / "undisturbed")
    epochs = [line.split(",")[0] for line in (project / "runs/killed/history.csv").read_text().splitlines()]
    assert epochs == ["epoch", "1", "2", "3"]


def interrupt(run_dir):
    """Make a finished run look like one that was killed after its last checkpoint."""
    Run(run_dir).update_state(status="running")


def test_what_dvc_deletes_is_there_again_where_no_epoch_is_left(settings, project):
    """A kill after the last epoch: DVC deletes what the stage made before it runs the stage again."""
    run_dir = project / "runs" / "one"
    train(settings(), run_dir)
    interrupt(run_dir)
    before = {name: (run_dir / name).read_bytes() for name in ("config.yaml", "history.csv", "curves.png")}
    for name in before:
        (run_dir / name).unlink()
    train(settings(), run_dir)
    assert {name: (run_dir / name).read_bytes() for name in before} == before


def test_auto_starts_anew_when_anything_changed(settings, project, capsys):
    run_dir = project / "runs" / "one"
    train(settings(), run_dir)
    interrupt(run_dir)
    train(settings("optimizer.lr=0.01"), run_dir)
    assert "Going on" not in capsys.readouterr().out
    interrupt(run_dir)
    train(settings("optimizer.lr=0.01"), run_dir)
    assert "Resuming one" in capsys.readouterr().out


def test_latest_goes_on_with_more_epochs(settings, project, capsys):
    run_dir = project / "runs" / "one"
    train(settings("scheduler=constant"), run_dir)
    train(settings("scheduler=constant", "trainer.max_epochs=3", "resume=latest"), run_dir)
    assert "Resuming one from step 64" in capsys.readouterr().out  # 2 epochs of 1000/32 batches
    assert len((run_dir / "history.csv").read_text().splitlines()) == 1 + 3


def test_a_schedule_with_an_end_is_not_prolonged(settings, project):
    run_dir = project / "runs" / "one"
    train(settings(), run_dir)
    with pytest.raises(ConvlabError, match="ends after 64 steps, this training takes 96"):
        train(settings("trainer.max_epochs=3", "resume=latest"), run_dir)


def test_never_starts_anew(settings, project, capsys):
    run_dir = project / "runs" / "one"
    train(settings(), run_dir)
    interrupt(run_dir)
    train(settings("resume=never"), run_dir)
    assert "Going on" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("resume=latest", r"there is no .*last\.ckpt to resume from"),
        ("resume=maybe", "resume=maybe: expected .auto., .latest. or .never."),
        ("model.num_classes=7", "num_classes=7, but the data has 10 classes"),
        ("model.num_inputs=100", r"the data's images of 1x28x28 \(c h w\)"),
        ("batch_size=0", "batch_size=0: expected at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(settings, project, override, message):
    with pytest.raises(ConvlabError, match=message):
        train(settings(override), project / "runs" / "one")
    assert not (project / "runs" / "one" / "checkpoints").exists()


def test_a_failed_run_says_so(settings, project, monkeypatch):
    monkeypatch.setattr("convlab.figures.plots.curves", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(settings(), project / "runs" / "one")
    state = Run(project / "runs" / "one").state
    assert (state["status"], state["error"]) == ("failed", "ZeroDivisionError: division by zero")


def test_the_saved_configuration_is_plain_and_complete(settings, project):
    train(settings(), project / "runs" / "one")
    saved = OmegaConf.to_container(OmegaConf.load(project / "runs/one/config.yaml"), resolve=False)
    assert saved["model"]["hidden"] == 32
    assert saved["data"]["module"]["batch_size"] == saved["batch_size"] == 32
    assert "${" not in (project / "runs/one/config.yaml").read_text()


def test_a_finished_run_with_other_settings_is_kept(project, capsys):
    words = [*QUICK, "logger=none", "name=one"]
    assert command.run(words) == 0
    before = weights(project / "runs" / "one")
    with pytest.raises(ConvlabError) as refused:
        command.run([*words, "optimizer.lr=0.02", "seed=2"])
    assert str(refused.value) == (
        f"{project / 'runs' / 'one'} holds a finished run with other settings (data.module.seed: 1, now 2, "
        "optimizer.lr: 0.05, now 0.02, scheduler.factory.max_lr: 0.05, now 0.02, seed: 1, now 2). "
        "Give this one a name of its own (name=...), or "
        "replace that one (resume=never)."
    )
    assert Run(project / "runs" / "one").state["status"] == "finished"
    assert weights(project / "runs" / "one") == before
    assert command.run(words) == 0  # the same again may be
    assert weights(project / "runs" / "one") == before
    assert command.run([*words, "seed=2", "resume=never"]) == 0
    assert weights(project / "runs" / "one") != before


def test_what_dvc_has_cleared_away_is_trained_with_other_settings(project):
    """It deletes a stage's outputs before it runs it, and leaves run.json and the checkpoints."""
    words = [*QUICK, "logger=none", "name=one"]
    assert command.run(words) == 0
    shutil.rmtree(project / "runs" / "one" / "model")
    (project / "runs" / "one" / "config.yaml").unlink()
    assert command.run([*words, "seed=2"]) == 0


def test_two_trainings_under_one_name_at_once_are_one(project):
    words = [*QUICK, "logger=none", "name=one", "trainer.max_epochs=500"]
    program = "import sys; from convlab.cli.main import main; sys.exit(main(['train', *sys.argv[1:]]))"
    first = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while not (project / "runs" / "one" / "history.csv").is_file():
            assert first.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        with pytest.raises(ConvlabError, match=r"runs/one is being trained by another process\. Wait for it"):
            command.run(words)
    finally:
        first.kill()
        first.wait()
    assert command.run([*QUICK, "logger=none", "name=one"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainer.accelerator=tpu"], r"trainer\.accelerator=tpu: torch finds none .*one of: auto, .*cpu"),
        (["trainer.devices=x"], r"trainer\.devices=x: expected a number, such as 1\.$"),
        (["optimizer.lr=-1"], "Invalid learning rate: -1"),
        (["+trainer.precision=7"], "Precision 7 is invalid"),
        (["+trainer.fast_dev_run=true"], r"keeps no checkpoint .* A quick try: trainer\.max_epochs=1"),
        (["~scheduler"], r"^scheduler is missing\. scheduler=constant is none\.$"),
        (["~averaging"], r"^averaging is missing\. averaging\.decay=null is none\.$"),
        (
            ["model._target_=convlab.models.nix.Net"],
            r"_target_=convlab\.models\.nix\.Net could not be",
        ),
        (["model=lenet5"], r"data's images of 1x28x28 \(c h w\): .*preprocessing\.pad=2.*input=1,28,28"),
        (
            ["model=lenet5", "data.module.preprocessing.size=20"],
            r"images of 1x20x20 \(c h w\): .*\. `convlab summary",
        ),
    ],
)
def test_a_run_that_fails_at_its_settings_is_no_run(project, words, message):
    with pytest.raises(ConvlabError, match=message) as error:
        command.run(["experiment=digits_fully_connected", "name=one", *words])
    assert "\n" not in str(error.value)
    assert not (project / "runs" / "one").exists()
    assert store.client().search_runs([store.experiment_id("convlab")]) == []
