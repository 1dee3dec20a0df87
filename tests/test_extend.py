"""docs/how-to/extend.md does what it says: each section's files and commands, in a temporary project."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import File

from convlab.cli.main import main

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PAGE = (ROOT / "docs" / "how-to" / "extend.md").read_text()
FENCE = re.compile(r"^```(?P<language>\w+) ?(?P<place>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
LONG = ("A data set", "A metric")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with its own copy of convlab's code, photos of its own, under Git and DVC."""
    folder = tmp_path_factory.mktemp("extended") / "project"
    for name in ("conf", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "pipeline.yaml", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "assets" / "sample", folder / "data")
    shutil.copytree(ROOT / "assets" / "sample" / "patches", folder / "photos")
    run(folder, "git init --quiet && dvc init --quiet")
    known = set(sys.modules)
    yield folder
    # its modules were imported here: another test's project may name its own alike
    sys.path[:] = [place for place in sys.path if place != str(folder)]
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


def run(project, command):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CONVLAB_", "MLFLOW_"))}
    env |= {"PATH": f"{BIN}:{env['PATH']}", "PYTHONPATH": str(project / "src"), "NO_COLOR": "1"}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["bash", "-ec", command], cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_process(project, text, monkeypatch, capfd):
    """The commands of a fence: convlab's without a process of their own, which would be mostly imports."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("CONVLAB_PROJECT", str(project))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for command in text.replace("\\\n", " ").splitlines():
        words = shlex.split(command, comments=True)
        if words[0] == "convlab":
            assert main(words[1:]) == 0, capfd.readouterr()
        else:
            print(run(project, command))
    return capfd.readouterr().out


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "section",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
        for name, text in SECTIONS.items()
        if "```" in text
    ],
)
def test_a_section_does_what_it_says(project, section, monkeypatch, capfd):
    said = []
    for fence in FENCE.finditer(SECTIONS[section]):
        if fence["language"] != "bash":
            File(0, fence["text"], fence["place"]).write(project)
        elif section == "A metric":  # with code of the package changed
            said.append(run(project, fence["text"]))
        else:
            said.append(in_process(project, fence["text"], monkeypatch, capfd))
    expected = {
        "A hyperparameter": "epoch   1 of 1",
        "An architecture": "Trained tiny",
        "A metric": "top 2 %",
        "A data set": "Running stage 'train@birds'",
        "A stage": "Running stage 'count'",
        "A tracker": "noted: ",
    }
    assert expected.get(section, "Trained ") in "".join(said)


def test_every_kind_has_its_section():
    table = re.findall(r"^\| \[(.+?)\]\(#(.+?)\)", PAGE, re.MULTILINE)
    assert [heading for heading, _ in table] == [name[0].lower() + name[1:] for name in SECTIONS]
    assert len(table) == 11
