"""The container's files, as far as they can be held against the project without an engine."""

import fnmatch
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

from convlab.cli.diagnosis.machine import PORTS

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def arguments(instruction: str) -> list[str]:
    return [value for name, value in instructions() if name == instruction]


def ignored() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_python_is_one_that_the_package_accepts() -> None:
    [image] = arguments("FROM")
    version = re.fullmatch(r"python:(\d+\.\d+)-slim", image)
    assert version is not None
    accepted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert SpecifierSet(accepted).contains(f"{version[1]}.9")


def test_all_that_is_copied_is_there_and_not_ignored() -> None:
    sources = [
        word for line in arguments("COPY") for word in shlex.split(line)[:-1] if not word.startswith("--")
    ]
    assert {"pyproject.toml", "requirements", "."} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists()
        assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored())


def test_the_pinned_versions_are_installed_by_an_ordinary_user() -> None:
    order = [name for name, _ in instructions()]
    users = arguments("USER")
    assert users == ["convlab"]
    install = next(
        k for k, (name, line) in enumerate(instructions()) if name == "RUN" and "install.py" in line
    )
    assert order.index("USER") < install
    assert "requirements/install.py --dev" in instructions()[install][1]
    for program in ("git", "make"):
        assert f" {program} " in arguments("RUN")[0]


def test_what_the_pipeline_makes_stays_outside() -> None:
    made = (ROOT / ".gitignore").read_text().split("# tools")[0].splitlines()[1:]
    assert {name.strip("/") for name in made} <= set(ignored())


def test_nothing_that_git_tracks_is_left_out() -> None:
    """But for .git itself: the image's project is whole."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()
    patterns = [pattern for pattern in ignored() if "/" not in pattern.removeprefix("**/")]
    tops = {name.partition("/")[0] for name in tracked}
    assert not [top for top in tops if any(fnmatch.fnmatch(top, pattern) for pattern in patterns)]


def test_the_ports_are_those_of_the_servers() -> None:
    [exposed] = arguments("EXPOSE")
    assert {int(port) for port in exposed.split()} == set(PORTS)


def test_the_development_container_is_the_same_image() -> None:
    config = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    folder = ROOT / ".devcontainer"
    assert (folder / config["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / config["build"]["context"]).resolve() == ROOT
    assert arguments("USER") == [config["remoteUser"]]
    assert arguments("WORKDIR") == [config["workspaceFolder"]]
    assert set(config["forwardPorts"]) == set(PORTS)
    [venv] = config["mounts"]
    assert f"target={config['workspaceFolder']}/.venv," in venv  # which `make` and the image use
