"""`convlab completion`: what is proposed, and that the shells themselves put it on the command line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from convlab.cli import main as cli
from convlab.cli.completion import proposals as module
from convlab.cli.completion.proposals import SHELLS, proposals

BIN = Path(sys.executable).parent


@pytest.fixture
def filled(project: Path) -> Path:
    """A project with two runs, one of them evaluated, and a champion."""
    for run, files in (("alpha", ["config.yaml", "metrics.json"]), ("beta", ["config.yaml"])):
        (project / "runs" / run).mkdir(parents=True)
        for name in files:
            (project / "runs" / run / name).touch()
    (project / "champions" / "digits").mkdir(parents=True)
    (project / "champions" / "digits" / "history.json").touch()
    return project


def words(line: str) -> list[str]:
    return [word for word, _ in proposals(line, cli.VERBS)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("convlab tra", ["train"]),
        ("/some/bin/convlab roll", ["rollback"]),
        ("convlab train experiment=lenet5", ["experiment=lenet5", "experiment=lenet5_1998"]),
        ("convlab train -m experiment=lenet,fully", ["experiment=lenet,fully_connected"]),
        ("convlab train seed=1 opt", ["optimizer="]),
        ("convlab train optimizer.m", ["optimizer.momentum="]),
        ("convlab train batch", ["batch_size="]),
        ("convlab train resume=", ["resume=latest", "resume=never"]),
        ("convlab visualize name=", ["name=alpha", "name=beta"]),
        ("convlab evaluate ", ["alpha", "beta"]),
        ("convlab evaluate alpha ", ["beta"]),
        ("convlab compare ", ["alpha"]),
        ("convlab promote ", ["best", "alpha"]),
        ("convlab rollback ", ["digits"]),
        ("convlab predict rose.jpg --model champ", ["champion", "champion/digits"]),
        ("convlab serve --model b", ["beta"]),
        ("convlab compare --metric val/", ["val/acc", "val/loss"]),
        ("convlab compare --m", ["--metric"]),
        ("convlab export --format ", ["onnx", "torchscript", "safetensors"]),
        ("convlab serve --port ", []),
        ("convlab fetch m", ["mnist"]),
        ("convlab completion ", ["bash", "zsh", "fish"]),
        ("convlab predict ", []),  # files
        ("convlab predict --sheet ", []),
        ("convlab no-such-verb ", []),
    ],
)
def test_what_may_come_next(filled: Path, line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_all_verbs_with_their_summaries(project: Path) -> None:
    found = dict(proposals("convlab ", cli.VERBS))
    assert tuple(found) == cli.VERBS
    assert found["train"] == "Train one network, or with -m sweep over several."


@pytest.mark.parametrize("verb", cli.VERBS)
def test_options_are_those_of_the_help(verb: str, project: Path) -> None:
    found = words(f"convlab {verb} --")
    assert "--help" in found
    usage = module._help(verb).partition("usage:")[2].partition("\n\n")[0]
    assert set(re.findall(r"--[a-z-]+", usage)) <= set(found)


def test_metrics_are_those_that_compare_takes() -> None:
    assert words("convlab compare --metric ") == ["test/acc", "test/loss", "test/ece", "val/acc", "val/loss"]


def test_outside_a_project_options_remain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVLAB_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert "--metric" in words("convlab compare --")
    assert words("convlab evaluate ") == []


def test_nothing_is_imported_that_takes_time(project: Path) -> None:
    code = "import sys; from convlab.cli.main import main; main(sys.argv[1:]); print(sorted(sys.modules))"
    arguments = ["completion", "for", "convlab train experiment=le"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    *found, modules = done.stdout.splitlines()
    assert "experiment=lenet" in found
    for heavy in ("'torch'", "'hydra'", "'numpy'", "'yaml'", "'rich'", "'argparse'"):
        assert heavy not in modules


def test_a_shell_that_is_not_known(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "tcsh"]) == 1
    assert "which shell? One of bash, zsh, fish" in capsys.readouterr().err


LINES = [
    ("convlab tra", "convlab train "),
    ("convlab train exper", "convlab train experiment="),
    ("convlab train experiment=lenet_t", "convlab train experiment=lenet_tf1 "),
    ("convlab train -m experiment=lenet5,mlp", "convlab train -m experiment=lenet5,mlp_head "),
    ("convlab evaluate al", "convlab evaluate alpha "),
    ("convlab predict --model champion/d", "convlab predict --model champion/digits "),
    ("convlab predict photo_of", "convlab predict photo_of_a_rose.jpg "),
]


@pytest.mark.parametrize(
    ("shell", "start"), [("bash", ["--norc", "--noprofile", "-i"]), ("zsh", ["-f", "-i"])]
)
def test_tab_in_a_shell(shell: str, start: list[str], filled: Path) -> None:
    """A terminal, a key: what the line becomes is what the shell then runs, with `convlab` as an echo."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    (filled / "photo_of_a_rose.jpg").touch()
    env = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "> "}
    terminal = pexpect.spawn(
        shell, start, cwd=filled, env=env, encoding="utf-8", timeout=30, dimensions=(24, 300)
    )
    if shell == "zsh":
        terminal.sendline("autoload -U compinit; compinit -D -u; bindkey -e; PS1='> '")
    terminal.sendline(f'eval "$(convlab completion {shell})"; echo rea""dy')
    terminal.expect("ready")
    for typed, completed in LINES:
        # before the line as it became, and an X after it, stands a command that shows its words
        terminal.send(f"{typed}\tX\x01printf '<%s>' \r")
        terminal.expect(r"<convlab>[^\r\n]*X>")
        assert terminal.match.group() == "".join(f"<{word}>" for word in f"{completed}X".split())
    terminal.close()


def test_fish(filled: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish")
    env = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(filled)}
    (filled / "photo_of_a_rose.jpg").touch()
    for typed, completed in LINES:
        asked = f"convlab completion fish | source; complete --do-complete '{typed}'"
        done = subprocess.run(["fish", "--no-config", "-c", asked], env=env, capture_output=True, text=True)
        found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
        assert found == [completed.split()[-1]], done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed(shell: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    assert f"completion {shell}" in capsys.readouterr().out.splitlines()[0 if shell != "zsh" else 1]
