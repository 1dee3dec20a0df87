"""A prediction is what evaluation measured: the whole test split, every kind of model, every route."""

import csv
import io
import json

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import requests
import torch
from PIL import Image
from sample_runs import copy_runs
from serving import serving

from convlab.cli.commands import export, predict, promote
from convlab.data.mnist import Mnist
from convlab.data.preprocessing import Preprocessing
from convlab.prediction import named_model
from convlab.runs import champions, model_file
from convlab.tracking import store

PIXELS = Preprocessing(size=28, channels=1, pixel_mean=(0,), pixel_std=(1,))
KINDS = {  # a run of each, and the shape of its test split's probabilities
    "fully_connected": ("middling", (500, 10)),
    "lenet5": ("lenet5", (500, 10)),
    "head": ("head", (31, 2)),
    "finetuned": ("finetuned", (31, 2)),
}


@pytest.fixture
def champion(project, trained, request):
    """A run of the kind asked for, promoted: its name, and its test images' files in `project`/photos."""
    name, shape = KINDS[request.param]
    copy_runs(trained, project, name)
    (project / "features").symlink_to(trained / "features")
    gate = project / "conf" / "gate.yaml"
    gate.write_text("{min_accuracy: 0, min_gain: -1, min_class_accuracy: 0, max_calibration_error: 1}")
    assert promote.run([name]) == 0
    (project / "photos").mkdir()
    for index, (content, suffix) in enumerate(digits() if shape[1] == 10 else patches(project)):
        (project / "photos" / f"{index:03}.{suffix}").write_bytes(content)
    with np.load(project / "runs" / name / "predictions.npz") as arrays:
        expected = arrays["probabilities"]
    assert expected.shape == shape
    return name, sorted((project / "photos").iterdir()), expected


def digits():
    data = Mnist("data/digits", PIXELS, 100, num_val=297)
    for index in range(len(data.labels("test"))):
        file = io.BytesIO()
        data.image("test", index).save(file, "PNG")
        yield file.getvalue(), "png"


def patches(project):
    (folder,) = (project / "features" / "patches").iterdir()
    with (folder / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    return [((project / "data" / "patches" / row["path"]).read_bytes(), "jpg") for row in rows]


def in_order(found, classes):
    """Probabilities n k from a list of {class: probability}."""
    return np.array([[row[name] for name in classes] for row in found])


def by_command_line(capsys, model, classes):
    """Of the folder photos, whose files come sorted."""
    capsys.readouterr()
    assert predict.run(["photos", "--model", model, "--top", "10", "--json"]) == 0
    photos = json.loads(capsys.readouterr().out)
    return in_order(
        [{each["class"]: each["probability"] for each in photo["classes"]} for photo in photos], classes
    )


def by_mlflow(name, files):
    """As `mlflow.pyfunc` and `mlflow models serve` predict."""
    model = mlflow.pyfunc.load_model(name)
    found = model.predict(pd.DataFrame({"image": [file.read_bytes() for file in files]}))
    return np.array([list(row.values()) for row in found["probabilities"]])


def by_http(project, model, files, classes):
    with serving(project, "--model", model) as server:
        answers = [
            requests.post(f"{server.url}/predict?top=10", file.read_bytes(), timeout=30).json()
            for file in files
        ]
    return in_order(
        [{each["class"]: each["probability"] for each in answer["classes"]} for answer in answers], classes
    )


def by_foreign_runtime(path, files):
    """What another program does: Pillow, ONNX Runtime, and what the file says of itself."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    _, channels, height, width = session.get_inputs()[0].shape
    pixels = []
    for file in files:
        with Image.open(file) as image:
            small = image.convert("L" if channels == 1 else "RGB").resize(
                (width, height), Image.Resampling.BILINEAR
            )
        pixels.append(np.asarray(small).reshape(height, width, channels).transpose(2, 0, 1))
    return session.run(None, {"pixels": np.stack(pixels)})[0]


def by_torchscript(path, predictor, files):
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        network = torch.jit.load(path)
    pixels = torch.from_numpy(np.stack([predictor.pixels(file) for file in files]))
    return network(pixels).detach().numpy()


SLOW = ("fully_connected", "finetuned")


@pytest.mark.parametrize(
    "champion",
    [pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW else kind for kind in KINDS],
    indirect=True,
)
def test_every_route_predicts_what_was_evaluated(champion, project, capsys, monkeypatch):
    name, files, expected = champion
    directory = champions.champion().directory
    classes = model_file.read(directory).classes
    for format in ("torchscript", "safetensors"):
        assert export.run([name, "--format", format, "--output", f"exported/{format}"]) == 0
    registered = f"models:/convlab-{champions.champion().data}@champion"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri())
    predictor = named_model.load(name)
    found = {
        "Python, run": predictor(files),
        "Python, champion": named_model.load("champion")(files),
        "Python, champion's ONNX": named_model.quickest("champion")(files),
        "command line, run": by_command_line(capsys, name, classes),
        "command line, champion": by_command_line(capsys, "champion", classes),
        "command line, registered": by_command_line(capsys, registered, classes),
        "command line, ONNX": by_command_line(capsys, str(directory / "model.onnx"), classes),
        "command line, safetensors": by_command_line(capsys, "exported/safetensors", classes),
        "MLflow": by_mlflow(registered, files),
        "HTTP": by_http(project, "champion", files, classes),
        "ONNX": by_foreign_runtime(directory / "model.onnx", files),
        "TorchScript": by_torchscript(project / "exported" / "torchscript" / "model.pt", predictor, files),
    }
    differences = {route: float(np.abs(np.asarray(each) - expected).max()) for route, each in found.items()}
    assert {route: value for route, value in differences.items() if not value < 1e-5} == {}
