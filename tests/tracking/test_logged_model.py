"""A run's logged model, loaded as any user of MLflow loads one."""

import io

import mlflow
import numpy as np
import pytest
from PIL import Image
from sample_runs import copy_runs

from convlab.runs import model_file
from convlab.runs.run import Run
from convlab.tracking import logged_model, mlflow_runs, store


@pytest.fixture
def log(trained, project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri())  # a global would outlive the test

    def log(name):
        copy_runs(trained, project, name)
        run_id = mlflow_runs.start("convlab", name, {})
        model_id = logged_model.log_run(Run(project / "runs" / name), "convlab", run_id)
        (linked,) = store.client().get_run(run_id).outputs.model_outputs
        assert linked.model_id == model_id
        assert store.client().get_logged_model(model_id).source_run_id == run_id
        mlflow.set_tracking_uri(store.uri())
        return mlflow.pyfunc.load_model(f"models:/{model_id}")

    return log


def test_a_network_takes_image_files_and_says_what_evaluate_measured(log, project):
    model = log("lenet5")
    assert model.metadata.signature.inputs.input_names() == ["image"]
    assert model.predict(model.input_example)["class"].isin(list("0123456789")).all()
    with np.load(project / "runs" / "lenet5" / "predictions.npz") as measured:
        expected = measured["probabilities"][:3]
    found = model.predict(sample_digits(project, 3))["probabilities"]
    assert np.allclose([list(row.values()) for row in found], expected, atol=1e-5)


def test_a_head_takes_vectors_and_says_what_evaluate_measured(log, project, trained):
    model = log("head")
    found = model_file.read(project / "runs" / "head" / "model")
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, found.input_shape[0])
    assert model.predict(model.input_example)["class"].isin(found.classes).all()
    folder = next(trained.glob("features/patches/*"))
    vectors = np.load(folder / "vectors.npy")
    with np.load(project / "runs" / "head" / "predictions.npz") as measured:
        expected = measured["probabilities"]
    found = np.array([list(row.values()) for row in model.predict(vectors)["probabilities"]])
    # each measured row is that of one of the photos
    assert np.abs(found[:, None] - expected[None]).max(2).min(0).max() < 1e-5


def sample_digits(project, count):
    """PNG files of the first test images, in a DataFrame as the signature has it."""
    import pandas as pd
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    config = OmegaConf.load(project / "runs" / "lenet5" / "config.yaml")
    data = instantiate(config.data.module, _convert_="all")
    files = []
    for index in range(count):
        file = io.BytesIO()
        image = data.image("test", index)
        assert isinstance(image, Image.Image)
        image.save(file, "PNG")
        files.append(file.getvalue())
    return pd.DataFrame({"image": files})
