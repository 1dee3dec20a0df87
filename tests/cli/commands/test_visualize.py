"""`convlab visualize` on the embedded sample, with networks that have learned nothing."""

import json

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from PIL import Image
from torch import nn

from convlab.base import config
from convlab.cli import main as cli
from convlab.explain.deconvnet.occlusion import occlusion
from convlab.explain.deconvnet.projection import project
from convlab.explain.draw import draw
from convlab.explain.images import Images
from convlab.explain.layers import check_maps, chosen_maps, projected_layers
from convlab.models import saved, vgg
from convlab.runs import model_file
from convlab.runs.model_file import ModelFile
from convlab.runs.run import Run

QUICK = ["num_images=60", "maps=3", "occlusion.images=2", "occlusion.stride=16"]
FIGURES = ["filters_c1.png", "activations.png", "occlusion.png"]


def make(project, experiment, name, **changes):
    """A run of `experiment` whose weights are random; `changes` to its configuration."""
    settings = config.plain(config.compose("train", [f"experiment={experiment}", f"name={name}"]))
    settings |= changes
    directory = project / "runs" / name
    directory.mkdir(parents=True)
    config.save(settings, directory / "config.yaml")
    data = instantiate(settings["data"]["module"], _convert_="all")
    torch.manual_seed(0)
    network = saved.build(settings["model"])
    card = {
        "model": settings["model"],
        "classes": data.classes,
        "input_shape": list(data.input_shape),
        "preprocessing": data.preprocessing.to_dict(),
        "lineage": {},
    }
    saved.save(directory / "model", {"raw": network.state_dict()}, ModelFile(**card))
    return directory


def visualize(*words):
    return cli.main(["visualize", *words])


@pytest.fixture
def run_dir(project):
    return make(project, "digits_lenet5", "digits_lenet5")


def record(directory):
    return json.loads((directory / "visualize" / "visualize.json").read_text())


def files(directory):
    return {path.name: path.read_bytes() for path in (directory / "visualize").iterdir()}


def test_all_layers_twice_to_the_same_bytes(run_dir, capsys):
    assert visualize("experiment=digits_lenet5", "layer=all", *QUICK) == 0
    written = files(run_dir)
    layers = ["c1", "relu1", "s2", "c3", "relu3", "s4", "c5", "relu5"]
    assert sorted(written) == sorted([*(f"top9_{name}.png" for name in layers), *FIGURES, "visualize.json"])
    for name in sorted(written):
        if name.endswith(".png"):
            with Image.open(run_dir / "visualize" / name) as picture:
                assert min(picture.size) > 100
    said = capsys.readouterr().out
    assert "top9_c5.png" in said
    assert visualize("experiment=digits_lenet5", *QUICK) == 0
    assert files(run_dir) == written
    assert sorted(path.name for path in run_dir.iterdir()) == ["config.yaml", "model", "visualize"]


def test_the_record_is_what_the_network_does(run_dir):
    assert visualize("experiment=digits_lenet5", "layer=s4", "image=5", *QUICK) == 0
    found = record(run_dir)
    assert [each["file"] for each in found["figures"]] == ["top9_s4.png", *FIGURES]
    assert (found["network"], found["data"], found["split"]) == ("LeNet5", "digits", "val")
    assert found["weights"] == model_file.read(run_dir / "model").weights["raw"]
    network = saved.load(run_dir / "model")
    data = instantiate(config.plain(config.compose("train", ["experiment=digits_lenet5"]))["data"]["module"])
    images = Images(data, "val", 60, torch.device("cpu"))
    inputs, labels = images.inputs(list(range(60))), data.labels("val")
    layer = found["layers"]["s4"]
    assert (list(found["layers"]), layer["num_maps"], layer["field"]) == (["s4"], 16, [16, 16])
    assert len(layer["maps"]) == 3
    for index, units in layer["maps"].items():
        best = project(network, inputs, "s4", int(index))
        order = best.activations.sort(descending=True, stable=True).indices[:9].tolist()
        assert [unit["image"] for unit in units] == [
            number for number in order if best.activations[number] > 0
        ]
        for unit in units:
            number = unit["image"]
            assert unit["activation"] == pytest.approx(float(best.activations[number]), rel=1e-4)
            assert unit["position"] == best.positions[number].tolist()
            assert unit["box"] == best.boxes[number].tolist()
            assert unit["class"] == str(int(labels[number]))
    assert found["activations"]["image"] == 5
    logits = network(inputs[5:6])
    assert found["activations"]["choice"] == str(int(logits.argmax()))
    covered = found["occlusion"][1]
    first_one = labels.tolist().index(1)
    assert (covered["image"], covered["class"], covered["size"], covered["stride"]) == (
        first_one,
        "1",
        10,
        16,
    )
    again = occlusion(network, images.inputs([first_one])[0], 1, 10, 16)
    np.testing.assert_allclose(covered["probabilities"], again.probabilities, rtol=1e-4)
    assert covered["rows"] == again.rows == [7, 23]


def test_the_projections_painted_are_the_deconvolutional_network_s(run_dir):
    network = saved.load(run_dir / "model")
    data = instantiate(config.plain(config.compose("train", ["experiment=digits_lenet5"]))["data"]["module"])
    settings = {
        "layer": "c3",
        "split": "train",
        "num_images": 40,
        "maps": [4],
        "image": 0,
        "occlusion": {"images": 0},
    }
    pictures = draw(network, data, settings, data.classes)
    assert list(pictures.figures) == ["top9_c3.png", "filters_c1.png", "activations.png"]
    (unit, *_) = pictures.record["layers"]["c3"]["maps"]["4"]
    top, left, bottom, right = unit["box"]
    image = Images(data, "train", None, torch.device("cpu")).inputs([unit["image"]])
    wanted = project(network, image, "c3", 4).pixels[0, 0, top:bottom, left:right]
    wanted = 0.5 + wanted / (2 * wanted.abs().max())
    block = pictures.figures["top9_c3.png"].axes[0].images[0].get_array()
    height, width = wanted.shape  # a field of 14 pixels, enlarged five times
    drawn = block[3 : 3 + 5 * height : 5, 3 : 3 + 5 * width : 5, 0] / 255
    np.testing.assert_allclose(drawn, wanted, atol=1 / 255)
    picture = np.pad(np.asarray(data.image("train", unit["image"])), 2)[top:bottom, left:right]
    patch = block[3 : 3 + 5 * height : 5, 225 : 225 + 5 * width : 5, 0]  # after 3 * 70 + 4 * 3, and a gap
    np.testing.assert_array_equal(patch, picture)


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["layer=conv9"], ["layer=conv9", "LeNet5 has no such layer", "all, c1, relu1, s2"]),
        (["layer=f6"], ["no way back from a Linear", "c5, relu5"]),
        (["maps=0"], ["maps=0", "a list such as [0,5,12]"]),
        (["layer=c1", "maps=[6,9]"], ["maps=[6, 9]", "c1 has maps 0 to 5"]),
        (["split=vall"], ["split=vall", "train, val or test"]),
        (["image=297"], ["image=297", "images 0 to 296"]),
        (["occlusion.size=32"], ["occlusion.size=32", "smaller than the image of 32x32"]),
        (["occlusion.images=[1,300]"], ["occlusion.images=300"]),
        (["num_images=0"], ["num_images=0"]),
        (["layers=c1"], ["no setting 'layers'", "'layer'"]),
        (["optimizer.lr=1"], ["optimizer.lr=1", "as it was trained"]),
        (["name=nothing"], ["there is no run 'nothing'", "digits_lenet5"]),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(run_dir, capsys, words, messages):
    assert visualize("experiment=digits_lenet5", "num_images=20", "occlusion.images=1", *words) == 1
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    for message in messages:
        assert message in error
    assert not (run_dir / "visualize").exists()


def test_a_network_without_convolution_gets_an_explanation(project, capsys):
    make(project, "digits_fully_connected", "flat")
    assert visualize("name=flat") == 1
    assert "FullyConnected has no convolution" in capsys.readouterr().err


class TanhNet(nn.Sequential):
    """No ReLU anywhere."""

    def __init__(self):
        super().__init__()
        self.c1, self.squash, self.pool = nn.Conv2d(1, 3, 5), nn.Tanh(), nn.AvgPool2d(4)
        self.flatten, self.output = nn.Flatten(), nn.Linear(3 * 36, 10)


def test_without_relu_there_are_no_projections_but_all_else(run_dir, capsys):
    data = instantiate(
        config.plain(config.compose("train", ["experiment=digits_fully_connected"]))["data"]["module"]
    )
    settings = config.plain(config.compose("visualize", ["experiment=digits_fully_connected", *QUICK]))
    pictures = draw(TanhNet(), data, settings, data.classes)
    assert list(pictures.figures) == FIGURES
    assert "no ReLU" in pictures.record["no_projections"]
    assert "no projections: it has no ReLU" in capsys.readouterr().out
    with pytest.raises(Exception, match="no way back through TanhNet: it has no ReLU"):
        projected_layers(TanhNet(), "c1")


def test_the_pictures_join_the_run_s_record(run_dir, monkeypatch):
    from convlab.tracking import mlflow_runs, store

    run_id = mlflow_runs.start("convlab", "digits_lenet5", {})
    mlflow_runs.end(run_id)
    Run(run_dir).update_state(mlflow={"run_id": run_id, "experiment": "convlab"})
    assert visualize("experiment=digits_lenet5", "layer=c1", *QUICK) == 0
    logged = {each.path for each in store.client().list_artifacts(run_id, "figures")}
    assert logged == {f"figures/{name}" for name in ["top9_c1.png", *FIGURES, "visualize.json"]}
    assert store.client().get_run(run_id).info.status == "FINISHED"


class Narrow(nn.Sequential):
    """VGG's pattern of layers at a thousandth of its size, under its name of the last one."""

    def __init__(self, num_classes):
        super().__init__()
        self.conv1_1, self.relu1_1, self.pool1 = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4)
        self.flatten, self.fc8 = nn.Flatten(), nn.Linear(4 * 8 * 8, num_classes)


def test_a_published_network_needs_no_run(project, monkeypatch, capsys):
    """Where its weights are not there, seeded random ones are shown, and it is said."""

    def seeded(seed, num_classes=1000, drop=0.5):
        torch.manual_seed(seed)
        return Narrow(num_classes)

    monkeypatch.setattr(vgg, "seeded", seeded)  # 138 million weights take a while
    words = ["experiment=vgg16", "data=patches_pixels", "backbone.preprocessing.size=32", "seed=1", *QUICK]
    assert visualize(*words) == 0
    said = capsys.readouterr().out
    assert "warning: there are no weights weights/vgg16/model.safetensors: random ones" in said
    found = record(project / "runs" / "vgg16")
    assert (found["data"], found["weights"]) == ("patches", "random, seed 0")
    assert list(found["layers"]) == ["conv1_1", "relu1_1", "pool1"]
    assert found["occlusion"][0]["class"].startswith("output ")  # its own first choice: it knows no patches
    conv, relu = found["layers"]["conv1_1"]["maps"], found["layers"]["relu1_1"]["maps"]
    assert conv == relu  # what is positive passes ReLU unchanged, up and back


def test_images_are_chosen_class_by_class_in_turn(run_dir):
    data = instantiate(config.plain(config.compose("train", ["experiment=digits_lenet5"]))["data"]["module"])
    images = Images(data, "test", None, torch.device("cpu"))
    images.labels = torch.tensor([1, 1, 0, 2, 0, 1])
    assert images.first_of_classes(5) == [2, 0, 3, 4, 1]
    assert images.first_of_classes(99) == [2, 0, 3, 4, 1, 5]


def test_maps_by_number_by_list_or_all():
    from convlab.explain.deconvnet.strongest import Strongest

    best = Strongest(torch.tensor([[1.0], [3.0], [2.0]]), torch.zeros(3, 1), torch.zeros(3, 1, 2))
    assert chosen_maps(best, 2) == [1, 2]
    assert chosen_maps(best, [2, 0, 7, 2]) == [0, 2]
    assert chosen_maps(best, "all") == [0, 1, 2]
    check_maps([2, 9], {"a": 3, "b": 10})
