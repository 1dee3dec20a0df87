"""The command line: help that costs nothing, and errors that say what was meant."""

import subprocess
import sys

import pytest

from convlab.cli import main as cli


def status(*arguments):
    return cli.main(list(arguments))


def test_help_lists_every_verb_with_its_summary(capsys):
    assert status("--help") == 0
    text = capsys.readouterr().out
    for verb in cli.VERBS:
        assert f"\n  {verb} " in text


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_teaches(verb, capsys, project):
    assert status(verb, "--help") == 0
    text = capsys.readouterr().out
    first = text.splitlines()[0]
    assert first.startswith(f"convlab {verb}: ")
    assert len(first) < 110
    assert f"usage: convlab {verb}" in text
    assert "example" in text
    assert max(map(len, text.splitlines())) <= 120


def test_help_imports_neither_torch_nor_hydra():
    for arguments in (["--help"], ["train", "--help"]):
        code = "import sys; from convlab.cli.main import main; main(sys.argv[1:]); print(sorted(sys.modules))"

        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        modules = done.stdout.splitlines()[-1]
        for heavy in ("'torch'", "'hydra'", "'mlflow'", "'numpy'", "'matplotlib'"):
            assert heavy not in modules


def test_train_help_lists_the_choices(project, capsys):
    status("train", "--help")
    assert "experiment=digits_fully_connected|digits_lenet5|" in capsys.readouterr().out


def test_an_unknown_verb_gets_the_nearest(capsys):
    assert status("trian") == 2
    assert "there is no verb 'trian'. Did you mean 'train'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["experiment=lenett"], ["no experiment 'lenett'", "'lenet'", "'lenet5'", "fully_connected"]),
        (["experiment=lenet,lenett", "-m"], ["no experiment 'lenett'"]),
        (["trainer.max_epoch=3"], ["no setting 'trainer.max_epoch'", "'trainer.max_epochs'"]),
        (["experiment=lenet,lenet5", "trainer.max_epoch=3", "-m"], ["'trainer.max_epochs'"]),
        (["optimiser=sgd"], ["no setting 'optimiser'", "'optimizer'"]),
        (["experiment"], ["'experiment' is not an override", "key=value"]),
    ],
)
def test_a_misspelling_gets_near_matches(project, capsys, arguments, messages):
    assert status("train", *arguments) == 1
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    for message in messages:
        assert message in error
    assert not (project / "runs").exists()
    assert not (project / "sweeps").exists()


def test_outside_a_project_the_way_in_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CONVLAB_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert status("train") == 1
    assert "no convlab project at or above" in capsys.readouterr().err


def test_version(capsys):
    from convlab import __version__

    assert status("--version") == 0
    assert capsys.readouterr().out == f"convlab {__version__}\n"
