"""The wheel: what it carries, and what it does in an environment with nothing but what it asks for."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution, requires
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from sample_runs import copy_runs

import convlab
from convlab.cli.commands import export

ROOT = Path(__file__).parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(folder / f"convlab-{convlab.__version__}-py3-none-any.whl")


@pytest.fixture(scope="module")
def bare(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run convlab as `pip install <wheel>` into an empty environment would have it, without extras."""
    site = tmp_path_factory.mktemp("site")
    wheel.extractall(site)
    needed = _closure("convlab")
    assert "numpy" in needed
    for name in needed:
        for file in distribution(name).files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))

    def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("CONVLAB_")}
        env |= {"PYTHONPATH": str(site), "GIT_CONFIG_GLOBAL": os.devnull}
        command = [sys.executable, "-S", "-m", "convlab", *words]  # -S: without this environment's packages
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)

    return run


def _closure(name: str) -> set[str]:
    """What a package asks for without extras, and so on."""
    found, left = set[str](), [name]
    while left:
        for need in map(Requirement, requires(left.pop()) or []):
            asked = need.marker is None or need.marker.evaluate({"extra": ""})
            if asked and need.name.lower() not in found:
                found.add(need.name.lower())
                left.append(need.name)
    return found


def test_what_a_wheel_carries(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    folder = "convlab/base/shipped_files/"
    shipped = [name.removeprefix(folder) for name in names if name.startswith(folder)]
    conf = {path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*.yaml")}
    assert {name for name in shipped if name.startswith("conf/")} == conf
    assert {
        "data.dvc",
        "dvc.yaml",
        "pipeline.yaml",
        "requirements/all.txt",
        "requirements/install.py",
    } <= set(shipped)
    assert "convlab/py.typed" in names
    assert "convlab/serving/page.html.jinja" in names
    assert "convlab/cli/template/Makefile" in names
    about = f"convlab-{convlab.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"convlab", "hydra_plugins", about}


def test_without_extras_there_is_no_torch_and_what_needs_it_says_so(bare: Run, tmp_path: Path) -> None:
    made = bare("new", "mine", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    for verb, words, extra in (
        ("train", ["experiment=digits_lenet5"], "train"),
        ("sweep", ["experiment=lenet_sweep"], "search"),
        ("serve", ["--model", "x"], "serve"),
        ("ui", [], "track"),
    ):
        done = bare(verb, *words, cwd=tmp_path / "mine")
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith(f"convlab {verb} needs ")
        assert line.endswith(f": pip install 'convlab[{extra}]'")


def test_without_extras_a_network_is_looked_at_on_paper(bare: Run, tmp_path: Path) -> None:
    bare("new", "mine", cwd=tmp_path)
    done = bare("summary", "model=lenet5", cwd=tmp_path / "mine")
    assert done.returncode == 0, done.stderr
    assert "61,706" in done.stdout  # parameters of the classic LeNet-5
    assert bare("size", "image=13", "kernel=6", "stride=5", cwd=tmp_path).returncode == 0


def test_without_extras_doctor_finds_no_problem(bare: Run, tmp_path: Path) -> None:
    bare("new", "mine", cwd=tmp_path)
    done = bare("doctor", cwd=tmp_path / "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "installed: none; not installed: explain, export, " in done.stdout
    assert "no problems" in done.stdout


def test_without_extras_photos_are_predicted(bare: Run, trained: Path, project: Path, tmp_path: Path) -> None:
    """By an exported model: the same probabilities as with torch."""
    copy_runs(trained, project, "lenet5")
    assert export.run(["lenet5"]) == 0
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(tmp_path / "digit.png")
    model = project / "exports" / "lenet5" / "model.onnx"
    (tmp_path / "elsewhere").mkdir()
    done = bare("predict", "../digit.png", "--model", str(model), "--csv", cwd=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    heading, row = done.stdout.splitlines()
    assert heading.startswith("path,class_1,probability_1")
    assert row.split(",")[1] in "0123456789"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_project_of_the_wheel_runs_its_pipeline(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """With everything installed, but convlab's repository nowhere: as `make demo` there does."""
    wheel.extractall(tmp_path / "site")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CONVLAB_", "MLFLOW_"))}
    env |= {"PYTHONPATH": str(tmp_path / "site"), "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull}
    project = tmp_path / "mine"

    def run(*command: str, cwd: Path = project) -> str:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("convlab", "new", "mine", cwd=tmp_path)
    assert str(tmp_path / "site") in run(sys.executable, "-m", "convlab.base.shipped", "conf")
    assert "digits (500 test images)" in run("dvc", "repro", "compare@sample")
    assert "Running stage 'train" not in run("dvc", "repro", "compare@sample")
    assert (project / "reports" / "sample" / "comparison.html").is_file()
