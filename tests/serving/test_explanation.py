"""What the network saw, of each kind of network that is served."""

import numpy as np
import pytest
import requests
import torch
from PIL import Image
from serving import running, until
from torch import nn

from convlab.data.preprocessing import Preprocessing
from convlab.explain.deconvnet.projection import activations, project
from convlab.explain.explanation import explain
from convlab.models.fully_connected import FullyConnected
from convlab.prediction import network_predictor
from convlab.prediction.network_predictor import NetworkPredictor
from convlab.runs.run import Run
from convlab.serving.served import Served

JPEG = {"Content-Type": "image/jpeg"}


@pytest.mark.parametrize("name", ["head", "finetuned"])
def test_photos(trained, monkeypatch, name):
    monkeypatch.setenv("CONVLAB_PROJECT", str(trained))
    monkeypatch.chdir(trained)
    photo = next((trained / "data" / "patches" / "china").iterdir()).read_bytes()
    predictor = network_predictor.of_run(Run(trained / "runs" / name))
    row = dict(zip(predictor.classes, predictor([photo])[0].tolist(), strict=True))
    model = Served(name)
    with running(lambda: model) as url:
        until(lambda: requests.get(f"{url}/readyz", timeout=10).status_code == 200)
        answer = requests.post(f"{url}/predict", photo, headers=JPEG, timeout=30).json()
        assert {each["class"]: each["probability"] for each in answer["classes"]} == pytest.approx(
            row, abs=1e-5
        )
        saw = requests.post(f"{url}/explain", photo, headers=JPEG, timeout=30).json()
    assert [picture["title"] for picture in saw["pictures"]] == [
        *("The network's input", "Grad-CAM", "Guided Grad-CAM"),
    ]
    if name == "finetuned":
        assert model.looked_into.network._cache.capacity == 0  # what strangers send is not kept


def digit():
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 12:16] = 255
    return Image.fromarray(pixels)


def of_chain(*layers):
    torch.manual_seed(0)
    network = nn.Sequential(*layers).eval()
    preprocessing = Preprocessing(size=28, channels=1, pixel_mean=(0,), pixel_std=(255,))
    return NetworkPredictor(preprocessing, [str(number) for number in range(10)], network)


def test_a_network_without_convolution_has_integrated_gradients():
    predictor = of_chain(FullyConnected(hidden=5))
    _, chosen, pictures = explain(predictor, digit(), 7)
    assert chosen == 7
    assert [picture.title for picture in pictures] == ["The network's input", "Integrated gradients"]
    black = np.asarray(digit()) == 0
    assert (pictures[1].pixels[black] == 128).all()  # as in the baseline, they have no share
    assert (pictures[1].pixels[~black] != 128).any()


def test_where_nothing_reacts_it_says_so():
    layers = nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 12 * 12, 10)
    predictor = of_chain(*layers)
    with torch.no_grad():
        predictor.network[0].weight.zero_()
        predictor.network[0].bias.fill_(-1.0)  # below ReLU's threshold everywhere
    _, _, pictures = explain(predictor, digit(), 7)
    assert [picture.caption.partition(":")[0] for picture in pictures[1:]] == ["Nothing to show"] * 2
    assert (pictures[2].pixels == 128).all()


def test_the_deconvolutional_network_shows_the_maps_that_react_most():
    layers = nn.Conv2d(1, 12, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12 * 12 * 12, 10)
    predictor = of_chain(*layers)
    _, _, pictures = explain(predictor, digit(), None)
    inputs = predictor.preprocessing(digit())[None]
    strength = activations(predictor.network, inputs, "0")[0].amax((1, 2))
    maps = [index for index in strength.argsort(descending=True)[:9].tolist() if strength[index] > 0]
    assert pictures[3].caption == f"Maps {', '.join(map(str, maps))} of 0."
    together = sum(project(predictor.network, inputs, "0", index).pixels[0, 0] for index in maps).numpy()
    shown = pictures[2].pixels.astype(int) - 128
    assert np.array_equal(np.sign(shown)[abs(together) > 0.01], np.sign(together)[abs(together) > 0.01])
    assert (shown[together == 0] == 0).all()


def test_grad_cam_leaves_out_maps_of_one_pixel():
    layers = nn.Conv2d(1, 4, 5), nn.Tanh(), nn.Conv2d(4, 3, 24), nn.Tanh(), nn.Flatten(), nn.Linear(3, 10)
    predictor = of_chain(*layers)
    _, _, pictures = explain(predictor, digit(), 2)
    assert [picture.title for picture in pictures] == ["The network's input", "Grad-CAM"]
    assert pictures[1].caption == "Warm: where the maps of 0 raised the score of 2."
