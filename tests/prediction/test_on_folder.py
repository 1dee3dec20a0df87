"""A run measured on labelled photos from anywhere."""

import csv
import json
import shutil

import numpy as np
import pytest
from sample_runs import copy_runs

from convlab.base.errors import ConvlabError
from convlab.cli.commands import compare, evaluate


def photos_of(trained, split):
    with (trained / "features/patches/resnet18_random/index.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file) if row["split"] == split]


def put(trained, paths, folder):
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trained / "data/patches" / path, target)


@pytest.mark.parametrize("name", ["head", "finetuned"])
def test_on_its_own_test_photos_the_figures_are_the_test_split_s(project, trained, capsys, name):
    copy_runs(trained, project, name)
    put(trained, photos_of(trained, "test"), project / "again")
    before = (project / f"runs/{name}/metrics.json").read_bytes()
    capsys.readouterr()
    assert evaluate.run([name, "--on", "again"]) == 0
    printed = capsys.readouterr().out
    assert "warning" not in printed
    assert (project / f"runs/{name}/metrics.json").read_bytes() == before
    own = json.loads(before)
    found = json.loads((project / f"runs/{name}/on/again/metrics.json").read_text())
    assert found["test"] == pytest.approx(own["test"], abs=1e-5)
    assert found["per_class"] == {key: pytest.approx(each) for key, each in own["per_class"].items()}
    assert (found["data"], found["name"]) == ("again, a folder", name)
    listed = json.loads((project / f"runs/{name}/on/again/images/images.json").read_text())["paths"]
    assert sorted(listed) == sorted(f"again/{path}" for path in photos_of(trained, "test"))
    assert f"{name} on again: {own['test']['acc']:.2%} of 31 images" in printed
    assert compare.run([name, f"runs/{name}/on/again"]) == 0
    assert "again, a folder (31 test images)" in capsys.readouterr().out


def test_what_does_not_count_is_said(project, trained, capsys):
    copy_runs(trained, project, "head")
    shutil.copytree(trained / "features", project / "features")
    train, val = photos_of(trained, "train"), photos_of(trained, "val")
    chosen = [path for path in train if path.startswith("china")][:3]
    chosen += [path for path in val if path.startswith("china")][:2]
    folder = project / "mixed"
    put(trained, chosen, folder)
    (folder / "lamp").mkdir()
    shutil.copy(folder / chosen[0], folder / "lamp" / "a.png")
    (folder / "china" / "broken.png").write_bytes(b"nothing")
    assert evaluate.run(["head", "--on", "mixed", "--out", "result"]) == 0
    printed = capsys.readouterr().out
    assert "head has had 3 for training and 2 for validation of these photos" in printed
    assert "not one of head's classes, left out: lamp (1)" in printed
    assert "no photo of: flower" in printed
    assert "files that can't be used: 1, for instance china/broken.png: not an image of a known" in printed
    metrics = json.loads((project / "result/metrics.json").read_text())
    assert metrics["per_class"]["flower"] == {"acc": None, "num_images": 0}
    assert metrics["test"]["num_images"] == 5
    assert np.load(project / "result/predictions.npz")["labels"].tolist() == [0] * 5
    shutil.rmtree(folder / "china")
    with pytest.raises(ConvlabError, match="none of its folders is one of head's classes, china, flower"):
        evaluate.run(["head", "--on", "mixed"])
