"""An exported file predicts alone, without torch, or says why it can't."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convlab.base.errors import ConvlabError
from convlab.data.preprocessing import Preprocessing
from convlab.prediction import onnx_predictor
from convlab.prediction.predictor import BATCH_SIZE

PIXELS = Preprocessing(size=2, channels=1, pixel_mean=(0,), pixel_std=(1,))
ALONE = """
import sys
from pathlib import Path
from convlab.prediction import onnx_predictor
print(onnx_predictor.load(Path("model.onnx"))([Path("photo.png")]).tolist())
print([name for name in ("torch", "hydra", "mlflow", "pandas") if name in sys.modules])
"""


def bright_or_dark(**metadata):
    """A graph by hand: "bright" is the first pixel's share of white, "dark" the rest."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["float", "zero", "one", "axes"], ["row"]),
        helper.make_node("Reshape", ["row", "flat"], ["rows"]),
        helper.make_node("Slice", ["rows", "zero1", "one1", "axis1"], ["first"]),
        helper.make_node("Div", ["first", "white"], ["bright"]),
        helper.make_node("Sub", ["unit", "bright"], ["dark"]),
        helper.make_node("Concat", ["dark", "bright"], ["probabilities"], axis=1),
    ]
    constants = {
        "zero": np.array([0, 0]),
        "one": np.array([1, 1]),
        "axes": np.array([1, 2]),
        "flat": np.array([-1, 2]),
        "zero1": np.array([0]),
        "one1": np.array([1]),
        "axis1": np.array([1]),
        "white": np.float32(255),
        "unit": np.float32(1),
    }
    graph = helper.make_graph(
        nodes,
        "bright_or_dark",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 1, 2, 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


WHOLE = {"classes": json.dumps(["dark", "bright"]), "preprocessing": json.dumps(PIXELS.to_dict())}


def photo(first):
    from PIL import Image

    return Image.fromarray(np.array([[first, 255], [0, 9]], np.uint8))


def test_it_predicts_in_batches():
    predictor = onnx_predictor.load(bright_or_dark(**WHOLE))
    assert (predictor.classes, predictor.preprocessing) == (["dark", "bright"], PIXELS)
    firsts = np.arange(2 * BATCH_SIZE + 1)
    found = predictor(photo(first) for first in firsts)
    np.testing.assert_allclose(found, np.stack([1 - firsts / 255, firsts / 255], 1), atol=1e-6)
    assert predictor([]).shape == (0, 2)


def test_neither_torch_nor_hydra_is_imported(tmp_path):
    (tmp_path / "model.onnx").write_bytes(bright_or_dark(**WHOLE))
    photo(51).save(tmp_path / "photo.png")
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    probabilities, imported = done.stdout.splitlines()
    assert json.loads(probabilities) == [[pytest.approx(0.8), pytest.approx(0.2)]]
    assert imported == "[]"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no model", "not an ONNX model that can be run"),
        (bright_or_dark(**WHOLE)[:-200], "not an ONNX model that can be run"),
        (bright_or_dark(), "does not say its classes and preprocessing"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ConvlabError, match=rf"model\.onnx .*{message}|model\.onnx is {message}"):
        onnx_predictor.load(path)
