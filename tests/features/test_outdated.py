"""A folder that changed after its vectors were computed is noticed before they are used."""

import json
import shutil

import pytest
from sample_runs import SMALL_BACKBONE, train_head

from convlab.base import config
from convlab.cli.commands import evaluate, features, promote, train
from convlab.features.outdated import outdated
from convlab.runs.run import Run

WORDS = ["experiment=patches_linear_head", "data.dir=photos", *SMALL_BACKBONE]


@pytest.fixture
def photos(project):
    """A head trained on photos/, a copy of the sample's patches."""
    shutil.copytree(project / "data" / "patches", project / "photos")
    train_head("head", "data.dir=photos", epochs=60)
    return sorted((project / "photos").rglob("*.jpg"))


def test_what_changed_is_counted_and_said(project, photos, capsys):
    data = config.plain(config.compose("train", WORDS))["data"]
    assert outdated(data) is None
    photos[0].rename(photos[0].with_name("renamed.jpg"))  # the same photo of the same class
    assert outdated(data) is None
    photos[1].write_bytes(photos[1].read_bytes() + b"\0")  # one is gone, another is there
    photos[2].unlink()
    expected = "photos has changed since its vectors were computed: 1 photos are new, 2 gone. The same"
    assert outdated(data).startswith(expected)
    capsys.readouterr()
    assert train.run([*WORDS, "name=other", "logger=none", "trainer.max_epochs=1"]) == 0
    assert f"warning: {expected}" in capsys.readouterr().out
    (project / "conf" / "gate.yaml").write_text("max_calibration_error: 1")
    assert promote.run(["head"]) == 0
    assert f"warning: {expected}" in capsys.readouterr().out
    shutil.rmtree(project / "photos")  # the vectors alone suffice
    assert outdated(data) is None


def test_a_photo_that_could_not_be_read_is_not_new(project, photos):
    (project / "photos" / "flower" / "torn.jpg").write_bytes(b"torn")
    assert features.run(["data=patches", "data.dir=photos", *SMALL_BACKBONE]) == 0
    assert outdated(config.plain(config.compose("train", WORDS))["data"]) is None


def test_a_deleted_photo_costs_no_figure(project, photos, capsys):
    """Of the mistakes, its place stays grey; the champion's export is checked on the others."""
    before = json.loads((project / "runs" / "head" / "metrics.json").read_text())["test"]
    shutil.rmtree(project / "photos" / "flower")
    assert evaluate.run(["head"]) == 0
    assert json.loads((project / "runs" / "head" / "metrics.json").read_text())["test"] == before
    images = Run(project / "runs" / "head").test_images
    sizes = [size for sheet in images.sheets for size in sheet.sizes]
    gone = [path.startswith("photos/flower/") for path in images.paths]
    assert [size == (0, 0) for size in sizes] == gone
    assert f"{sum(gone)} of {len(gone)} test images can't be shown. The first: photos/flower/" in " ".join(
        capsys.readouterr().out.split()
    )
    (project / "conf" / "gate.yaml").write_text("max_calibration_error: 1")
    assert promote.run(["head"]) == 0
    assert (project / "champions" / "patches" / "1" / "model.onnx").is_file()
