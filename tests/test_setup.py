"""Setting up .venv: which Python is taken, when it is made anew, and by what packages are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAMP = ".venv/.set-up"


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def python(path: Path, version: str, *, venv: bool = True) -> Path:
    """A program that answers like a Python of `version`: to -V, and to requirements/python.sh's question."""
    new_enough = tuple(map(int, version.split("."))) >= (3, 11)
    answer = f'echo "{path}"' if new_enough and venv else "exit 1"
    return program(path, f'case $1 in -V) echo "Python {version}";; *) {answer};; esac')


def chosen(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / "requirements" / "python.sh"), *names],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
    )


def test_the_newest_python_that_runs_is_taken(tmp_path: Path) -> None:
    program(tmp_path / "python3.13", 'echo "pyenv: python3.13: command not found" >&2; exit 127')  # a shim
    python(tmp_path / "python3.12", "3.12.1")
    python(tmp_path / "python3.11", "3.11.7")
    assert chosen(tmp_path).stdout == f"{tmp_path}/python3.12\n"
    python(tmp_path / "python3.12", "3.12.1", venv=False)
    assert chosen(tmp_path).stdout == f"{tmp_path}/python3.11\n"
    assert chosen(tmp_path, "python3.12").returncode == 1  # named, so nothing else is tried


def test_without_a_python_new_enough_it_is_said_what_was_tried(tmp_path: Path) -> None:
    python(tmp_path / "python3", "3.10.4")
    found = chosen(tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("convlab needs Python 3.11 or newer, with its venv module. Tried: ")


def test_the_base_of_an_environment_is_taken_not_the_environment() -> None:
    """An active .venv may be the one that is made anew."""
    found = chosen(Path("/nowhere"), sys.executable).stdout.strip()
    assert found == getattr(sys, "_base_executable", sys.executable)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The repository's set-up, after it was run."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    python(folder / ".venv" / "bin" / "python", "3.12.1")
    (folder / STAMP).write_text(f"{folder}\n")
    return folder


def planned(clone: Path, *words: str) -> str:
    """What `make` would do to set up."""
    command = ["make", "--dry-run", STAMP, *words]
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKEFLAGS")}
    return subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, check=True).stdout


def test_what_is_set_up_stays(clone: Path) -> None:
    assert "venv --clear" not in planned(clone)
    assert "install.py" not in planned(clone)
    assert "install.py" not in planned(clone, f"PYTHON={clone}/.venv/bin/python")


def test_other_versions_are_installed_into_it(clone: Path) -> None:
    os.utime(clone / "requirements" / "all.txt", (2e9, 2e9))
    assert "install.py --dev" in planned(clone)
    assert "venv --clear" not in planned(clone)


def test_one_that_was_moved_is_made_anew(clone: Path) -> None:
    moved = clone.rename(clone.with_name("moved"))
    assert "venv --clear" in planned(moved)


def test_one_whose_python_is_gone_is_made_anew(clone: Path) -> None:
    (clone / ".venv" / "bin" / "python").unlink()
    assert "venv --clear" in planned(clone)


def test_another_python_makes_it_anew(clone: Path, tmp_path: Path) -> None:
    assert "venv --clear" in planned(clone, f"PYTHON={python(tmp_path / 'python3.13', '3.13.0')}")


def installed_by(tmp_path: Path, *words: str, uv: bool) -> list[str]:
    """The calls of the installer that install.py makes."""
    log = tmp_path / "log"
    log.write_text("")
    folder = tmp_path / ("uv" if uv else "none")
    folder.mkdir()
    if uv:
        program(folder / "uv", f'echo "uv $@" >> {log}')
    script = (
        "import runpy, subprocess, sys\n"
        "real = subprocess.run\n"
        "def run(command, **more):\n"
        "    if 'pip' in command and command[0] == sys.executable:\n"
        f"        return real(['sh', '-c', 'echo pip \"$@\" >> {log}', 'sh', *command[3:]])\n"
        "    return real(command, **more)\n"
        "subprocess.run = run\n"
        f"sys.argv = ['install.py', *{list(words)!r}]\n"
        f"runpy.run_path({str(ROOT / 'requirements' / 'install.py')!r}, run_name='__main__')\n"
    )
    env = {"PATH": f"{folder}:/usr/bin:/bin", "PIP_FIND_LINKS": "/wheels"}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return log.read_text().splitlines()


def test_uv_installs_where_there_is_one_else_pip_from_the_same_pins(tmp_path: Path) -> None:
    for uv in (True, False):
        torch, everything, own = installed_by(tmp_path, "--dev", "--torch-index", "http://cpu", uv=uv)
        assert all(line.startswith("uv pip install" if uv else "pip install") for line in (torch, own))
        assert "--no-deps --index-url http://cpu torch==2.13.0 torchvision==0.28.0" in torch
        files = " ".join(f"-r {ROOT}/requirements/{name}.txt" for name in ("all", "dev"))
        assert f"--no-deps --require-hashes {files}" in everything
        assert f"--no-deps --no-build-isolation --editable {ROOT}" in own
        assert ("--find-links /wheels" in torch) == uv  # pip reads the variable itself
