"""What version 0.1.0 left behind is still measured, predicted from, continued, shown and served.

The files in tests/earlier/0.1.0 name modules of that version, in config.yaml, model.json and MLmodel. Nothing
here imports a module of the package: where one moves, the old files must be read all the same.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import requests

EARLIER = Path(__file__).parent / "earlier" / "0.1.0"
EXPECTED = json.loads((EARLIER / "expected.json").read_text())
MEASURED = tuple(EXPECTED["evaluated"])  # the runs
BACKBONE = "test_resnet_random"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where MLflow keeps the runs of all these tests: to make a database takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def earlier(project: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of today with the runs, vectors, champions and the backbone's settings of then; the cwd."""
    for folder in ("runs", "champions", "features"):
        shutil.copytree(EARLIER / folder, project / folder)
    shutil.copy(EARLIER / "conf" / "backbone" / f"{BACKBONE}.yaml", project / "conf" / "backbone")
    monkeypatch.setenv("CONVLAB_STATE", str(project / "state"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    return project


def command(*words: str) -> None:
    """Run the command line in this process: the one place that knows where it is."""
    from convlab.cli.main import main

    assert main(list(words)) == 0


def near(probabilities: dict[str, float]) -> object:
    """Equal but for what another processor, or rounding to six digits, changes."""
    return pytest.approx(probabilities, rel=1e-4, abs=2e-6)


def predicted(model: str, images: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    """What `convlab predict --json` says: for each image, each class and its probability."""
    capsys.readouterr()
    photos = [str(EARLIER / "images" / image) for image in images]
    command("predict", *photos, "--model", model, "--top", "10", "--json")
    said = json.loads(capsys.readouterr().out)
    return {
        image: {each["class"]: each["probability"] for each in photo["classes"]}
        for image, photo in zip(images, said, strict=True)
    }


def check(found: dict[str, dict], expected: dict[str, dict]) -> None:
    assert list(found) == list(expected)
    for image, probabilities in expected.items():
        assert found[image] == near(probabilities), image


def test_evaluating_again_gives_the_same_metrics(earlier: Path) -> None:
    before = {}
    for run in MEASURED:
        before[run] = json.loads((earlier / "runs" / run / "metrics.json").read_text())
        (earlier / "runs" / run / "metrics.json").unlink()
    command("evaluate", *MEASURED)
    for run, expected in EXPECTED["evaluated"].items():
        metrics = json.loads((earlier / "runs" / run / "metrics.json").read_text())
        assert {name: metrics["test"][name] for name in expected} == near(expected)
        assert metrics.keys() == before[run].keys()
        for name in ("model", "data", "weights", "num_parameters", "lineage"):
            assert metrics[name] == before[run][name]
        assert (earlier / "runs" / run / "confusion.png").is_file()
    assert "test_raw" in before["digits_small"]  # one of them kept averaged weights beside the raw ones


@pytest.mark.parametrize("model", EXPECTED["predicted"])
def test_a_model_by_its_name_predicts_the_same(
    model: str, earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = EXPECTED["predicted"][model]
    check(predicted(model, list(expected), capsys), expected)


@pytest.mark.parametrize("data", ["digits", "patches"])
@pytest.mark.parametrize("exported", [True, False])
def test_a_champion_moved_elsewhere_predicts_by_its_export_and_by_its_weights(
    data: str, exported: bool, earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = earlier.parent / "moved"
    (earlier / "champions" / data / "1").rename(moved)
    assert (moved / "model.onnx").is_file()
    if not exported:
        (moved / "model.onnx").unlink()
    expected = EXPECTED["predicted"][f"champion/{data}"]
    check(predicted(str(moved), list(expected), capsys), expected)


def test_an_export_predicts_alone(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = EXPECTED["predicted"]["champion/digits"]
    check(predicted("champions/digits/1/model.onnx", list(expected), capsys), expected)


def test_an_interrupted_training_goes_on(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = earlier / "runs" / "interrupted"
    words = shlex.split(json.loads((run / "run.json").read_text())["command"])
    command(*words[1:], "resume=latest")
    assert re.search(r"Resuming interrupted from step \d+", capsys.readouterr().out)
    history = np.genfromtxt(run / "history.csv", delimiter=",", names=True)
    assert history["epoch"].tolist() == [1, 2]
    assert {path.stem for path in (run / "model").glob("*.safetensors")} == {"raw", "averaged"}
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_runs_are_compared(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("compare", "--json")
    data_sets = json.loads(capsys.readouterr().out)["data_sets"]
    ranked = {name: [run["name"] for run in data["ranking"]] for name, data in data_sets.items()}
    assert ranked == {"digits": ["digits_small"], "patches": ["patches_head_small", "patches_pixels_small"]}
    found = {run["name"]: run for data in data_sets.values() for run in data["ranking"]}
    for name, expected in EXPECTED["evaluated"].items():
        assert {metric: found[name][f"test/{metric}"] for metric in expected} == near(expected)


def test_vectors_are_computed_anew_and_equal(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a network sees of some photos has changed since, so no vector of that time is trusted."""
    vectors = earlier / "features" / "patches" / BACKBONE / "vectors.npy"
    before = np.load(vectors)
    command("features", "data=patches", f"backbone={BACKBONE}")
    assert "reused 0, computed 120" in capsys.readouterr().out
    assert np.load(vectors) == pytest.approx(before, abs=1e-5)
    command("features", "data=patches", f"backbone={BACKBONE}")
    assert f"{BACKBONE}: unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("run", "picture"),
    [("patches_pixels_small", "activations.png"), ("patches_head_small", "attribution.png")],
)
def test_a_network_is_looked_into(run: str, picture: str, earlier: Path) -> None:
    few = ("num_images=20", "maps=2", "occlusion.images=0", "attribution.images=1", "attribution.steps=4")
    command("visualize", f"name={run}", *few)
    assert (earlier / "runs" / run / "visualize" / picture).is_file()


def test_a_champion_is_registered_in_another_database(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("promote", "digits_small")
    assert "digits_small is already the champion of digits" in capsys.readouterr().out
    expected = EXPECTED["predicted"]["champion/digits"]
    check(predicted("models:/convlab-digits@champion", list(expected), capsys), expected)


@pytest.mark.parametrize("name", ["digits_small", "champion_patches"])
def test_a_logged_model_takes_images(name: str, earlier: Path) -> None:
    import mlflow
    import pandas as pd

    model = mlflow.pyfunc.load_model(str(EARLIER / "mlflow" / name))
    expected = EXPECTED["mlflow"][name]
    images = pd.DataFrame({"image": [(EARLIER / "images" / image).read_bytes() for image in expected]})
    found = model.predict(images)
    check(dict(zip(expected, found["probabilities"], strict=True)), expected)


def test_a_logged_head_takes_vectors(earlier: Path) -> None:
    import mlflow

    model = mlflow.pyfunc.load_model(str(EARLIER / "mlflow" / "patches_head_small"))
    expected = EXPECTED["mlflow"]["patches_head_small"]
    vectors = np.load(EARLIER / "features" / "patches" / BACKBONE / "vectors.npy")[: len(expected)]
    found = model.predict(vectors)
    check(dict(zip(expected, found["probabilities"], strict=True)), expected)


def test_a_champion_is_served(earlier: Path) -> None:
    image, expected = next(iter(EXPECTED["predicted"]["champion/digits"].items()))
    with server("--model", "champion/digits") as url:
        content = (EARLIER / "images" / image).read_bytes()
        answer = requests.post(f"{url}/predict?top=10", data=content, timeout=30).json()
        version = requests.get(f"{url}/version", timeout=30).json()
    assert {each["class"]: each["probability"] for each in answer["classes"]} == near(expected)
    assert answer["classes"][0]["class"] == max(expected, key=expected.__getitem__)
    assert (version["run"], version["data"]) == ("digits_small", "digits")


@contextmanager
def server(*arguments: str) -> Iterator[str]:
    """`convlab serve` in a process of its own, on a free port; its address, once its model is loaded."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "convlab", "serve", "--port", "0", *arguments],
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stdout.read()
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
