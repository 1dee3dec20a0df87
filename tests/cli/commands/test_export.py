"""`convlab export`: what a file says of itself, that it is whole, and that a wrong one is not kept."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from sample_runs import copy_runs

import convlab
from convlab.base.errors import ConvlabError
from convlab.cli.commands import export, predict
from convlab.data.preprocessing import Preprocessing
from convlab.models.lenet5_1998 import LeNet5As1998
from convlab.prediction import complete_model, named_model
from convlab.prediction.export import checked, formats
from convlab.prediction.export.formats import FORMATS, Format, NotExportable
from convlab.prediction.network_predictor import NetworkPredictor
from convlab.runs.run import Run


@pytest.fixture
def runs_of(project, trained):
    (project / "features").symlink_to(trained / "features")
    return lambda *names: copy_runs(trained, project, *names)


def test_onnx_holds_backbone_and_head_and_says_what_it_is(project, runs_of, capsys):
    runs_of("head")
    assert export.run(["head"]) == 0
    path = project / "exports" / "head" / "model.onnx"
    printed = capsys.readouterr().out
    assert printed.startswith("exports/head/model.onnx: on 16 images, no probability differs from head's by")
    assert float(printed.split()[-1]) < 1e-5
    model = onnx.load(path)
    about = {each.key: each.value for each in model.metadata_props}
    assert json.loads(about["classes"]) == ["china", "flower"]
    assert json.loads(about["preprocessing"])["size"] == 32
    assert (about["name"], about["convlab_version"]) == ("head", convlab.__version__)
    (pixels,), (probabilities,) = model.graph.input, model.graph.output
    shape = [each.dim_param or each.dim_value for each in pixels.type.tensor_type.shape.dim]
    assert (pixels.name, pixels.type.tensor_type.elem_type, shape) == (
        "pixels",
        onnx.TensorProto.UINT8,
        ["n", 3, 32, 32],
    )
    assert probabilities.name == "probabilities"
    assert str(project.parents[2]).encode() not in path.read_bytes()  # no file name of this machine
    assert b".py" not in path.read_bytes()


def test_torchscript_carries_the_metadata(project, runs_of):
    runs_of("middling")
    assert export.run(["middling", "--format", "torchscript", "--output", "out"]) == 0
    extra = {"metadata.json": ""}
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        network = torch.jit.load(project / "out" / "model.pt", _extra_files=extra)
    about = json.loads(extra["metadata.json"])
    assert json.loads(about["classes"]) == [str(digit) for digit in range(10)]
    assert about["convlab_version"] == convlab.__version__
    black = network(torch.zeros(3, 1, 28, 28, dtype=torch.uint8))
    assert black.shape == (3, 10)
    torch.testing.assert_close(black.sum(1), torch.ones(3))


def test_safetensors_is_the_complete_model_alone(project, runs_of, tmp_path, capsys):
    runs_of("head")
    assert export.run(["head", "--format", "safetensors", "--output", str(tmp_path / "model")]) == 0
    names = {"model.json", "raw.safetensors", "backbone.safetensors"}
    assert {path.name for path in (tmp_path / "model").iterdir()} == names
    photo = next((project / "data" / "patches").rglob("*.jpg"))
    expected = named_model.load("head")([photo])
    shutil.rmtree(project / "runs")
    torch.testing.assert_close(complete_model.load(tmp_path / "model")([photo]), expected)
    assert export.run([str(tmp_path / "model"), "--format", "safetensors", "--output", "again"]) == 0
    assert {path.name for path in (project / "again").iterdir()} == names


def test_a_model_without_its_data_is_compared_on_given_images(project, runs_of, capsys):
    runs_of("middling")
    assert export.run(["middling", "--format", "safetensors", "--output", "moved"]) == 0
    shutil.rmtree(project / "runs")
    photos = sorted((project / "data" / "patches").rglob("*.jpg"))[:3]
    capsys.readouterr()
    assert export.run(["moved", "--output", "out", "--images", *map(str, photos)]) == 0
    assert "out/model.onnx: on 3 images" in capsys.readouterr().out
    assert export.run(["moved", "--output", "out"]) == 0  # photos of the embedded sample
    assert "out/model.onnx: on 16 images" in capsys.readouterr().out
    assert predict.run([str(photos[0]), "--model", "out", "--top", "1"]) == 0


def test_what_predicts_otherwise_is_not_kept(project, runs_of):
    """The export of another network stands for a runtime that computes something else."""
    runs_of("middling", "weak")
    other = named_model.load("weak")
    wrong = Format("model.onnx", lambda _, name: formats.to_onnx(other, name), FORMATS["onnx"].read)
    images = checked.images_of(Run(project / "runs" / "middling"))
    predictor = named_model.load("middling")
    pixels = np.stack([predictor.pixels(image) for image in images])
    difference = np.abs(predictor.probabilities(pixels) - other.probabilities(pixels)).max()
    with pytest.raises(NotExportable, match=rf"differs by {difference:.2g} on 16 images, more than 1e-05"):
        checked.export(predictor, "middling", wrong, project / "out" / "model.onnx", images)
    assert not (project / "out").exists()


def test_what_is_not_a_number_is_not_kept(project, runs_of):
    runs_of("middling")
    predictor = named_model.load("middling")
    images = checked.images_of(Run(project / "runs" / "middling"))
    with pytest.raises(NotExportable, match="differs by inf"):
        checked.largest_difference(predictor, lambda pixels: np.full((len(pixels), 10), np.nan, "f4"), images)


def test_an_altered_export_of_a_champion_is_refused(project, runs_of, tmp_path):
    runs_of("middling")
    complete_model.write(Run(project / "runs" / "middling"), tmp_path / "model")
    complete_model.add_onnx(tmp_path / "model", checked.images_of(Run(project / "runs" / "middling")))
    path = tmp_path / "model" / "model.onnx"
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConvlabError, match=r"model\.onnx differs from what model\.json says"):
        named_model.quickest(str(tmp_path / "model"))
    path.unlink()  # without it, torch predicts
    digit = checked.images_of(Run(project / "runs" / "middling"))[0]
    expected = named_model.load("middling")([digit])
    torch.testing.assert_close(named_model.quickest(str(tmp_path / "model"))([digit]), expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which model"),
        (["a", "b"], "which model"),
        (["a", "--format", "gguf"], "--format gguf: choose one of onnx, torchscript, safetensors"),
        (["nothing"], "there is no run 'nothing'.*Backbones: inception_v3"),
    ],
)
def test_mistakes_are_explained(project, words, message):
    with pytest.raises(ConvlabError, match=message):
        export.run(words)


def test_lenet5_of_1998_survives_export():
    """Its subsampling sums, which onnxscript would take for an average if it were written otherwise."""
    torch.manual_seed(0)
    pixels = Preprocessing(size=28, channels=1, pixel_mean=(20,), pixel_std=(200,), pad=2)
    predictor = NetworkPredictor(pixels, [str(digit) for digit in range(10)], LeNet5As1998().eval())
    noise = np.random.default_rng(0).integers(0, 256, (8, 28, 28), dtype=np.uint8)
    for format in FORMATS.values():
        compute = format.read(format.write(predictor, "lenet5_1998"))
        assert checked.largest_difference(predictor, compute, map(Image.fromarray, noise)) < 1e-5
