"""`experiment=lenet_tf1`: every piece of the classic recipe, and all of them against a plain loop."""

import csv
import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from convlab.base import config
from convlab.data import idx
from convlab.models import saved
from convlab.runs import model_file
from convlab.training.train import train

STEPS = 30
BATCHES = 10  # 1,000 training digits, 100 a batch


def compose(*overrides):
    words = ["experiment=lenet_tf1", "data=digits", "data.module.preprocessing.pixel_mean=[0]", *overrides]
    return config.plain(config.compose("train", [*words, "data.module.preprocessing.pixel_std=[255]"]))


def plain_network():
    """Built as any PyTorch program would, its weights then drawn anew: sigma 0.1, cut at 2 sigma."""
    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
            nn.init.zeros_(layer.bias)
    return network


def plain_loop(images, labels, seed):
    """The recipe written out: loss by step, rate by step, the weights and their moving average."""
    torch.manual_seed(seed)
    network = plain_network()
    average = [parameter.detach().clone() for parameter in network.parameters()]
    losses, rates = [], []
    for step in range(STEPS):
        epoch, position = divmod(step, BATCHES)
        order = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        batch = torch.randperm(len(labels), generator=order)[100 * position : 100 * (position + 1)]
        cross_entropy = functional.cross_entropy(network(images[batch]), labels[batch])
        l2 = sum((w.detach() ** 2).sum() / 2 for w in network.parameters() if w.ndim > 1)
        network.zero_grad()
        cross_entropy.backward()
        rate = 0.005 * 0.99 ** math.floor(step / BATCHES)
        decay = min(0.99, (1 + step + 1) / (10 + step + 1))  # the step counter is raised before it averages
        with torch.no_grad():
            for parameter, mean in zip(network.parameters(), average, strict=True):
                # the gradient of 0.0001 * sum(w^2) / 2, rounded as SGD rounds it: one bit of difference
                # can turn the maximum of a pool, and the paths part
                decayed = parameter.ndim > 1
                gradient = parameter.grad.add(parameter, alpha=0.0001) if decayed else parameter.grad
                parameter.sub_(gradient, alpha=rate)
                mean -= (1 - decay) * (mean - parameter)
        losses.append((cross_entropy.item(), (cross_entropy + 0.0001 * l2).item()))
        rates.append(rate)
    return losses, rates, [parameter.detach() for parameter in network.parameters()], average


@pytest.fixture
def digits(project):
    """The sample's training digits less those held out for validation, and their labels."""
    from convlab.data.mnist import Mnist

    held_out = Mnist("data/digits", config_preprocessing(), 100, num_val=297)
    images = idx.read(project / "data/digits/train-images-idx3-ubyte.gz", idx.IMAGES_MAGIC)
    labels = idx.read(project / "data/digits/train-labels-idx1-ubyte.gz", idx.LABELS_MAGIC)
    validation = {image.tobytes() for image in held_out.batches("val").inputs.numpy()}
    kept = np.array([image.tobytes() not in validation for image in images[:, None]])
    assert kept.sum() == 1000
    pixels = torch.from_numpy(images[kept].astype(np.float32) / 255)[:, None]
    return pixels, torch.from_numpy(labels[kept].astype(np.int64))


def config_preprocessing():
    from convlab.data.preprocessing import Preprocessing

    return Preprocessing(size=28, channels=1, pixel_mean=(0,), pixel_std=(255,))


def test_its_steps_are_those_of_a_plain_loop(project, digits, capsys):
    """Interrupted after 25 of them, in the middle of an epoch and between two checkpoints' steps."""
    run_dir = project / "runs" / "recipe"
    common = ("logger=none", "print_every_n_steps=5", "checkpoint.every_n_steps=15", "seed=3")
    train(compose(*common, "trainer.max_steps=25"), run_dir)
    train(compose(*common, f"trainer.max_steps={STEPS}", "resume=latest"), run_dir)
    printed = capsys.readouterr().out
    assert "Resuming recipe from step 25" in printed

    losses, rates, weights, average = plain_loop(*digits, seed=3)
    for kind, expected in (("raw", weights), ("averaged", average)):
        found = saved.load(run_dir / "model", kind)
        for parameter, tensor in zip(found.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.detach(), tensor, atol=1e-5, rtol=0)

    pattern = r"step (\d+): loss ([\d.]+) \(cross-entropy ([\d.]+) \+ L2 [\d.]+\), learning rate ([\d.]+)"
    lines = re.findall(pattern, printed)
    assert [int(step) for step, *_ in lines] == list(range(5, STEPS + 1, 5))
    for step, loss, cross_entropy, rate in lines:
        assert float(cross_entropy) == pytest.approx(losses[int(step) - 1][0], abs=1e-4)
        assert float(loss) == pytest.approx(losses[int(step) - 1][1], abs=1e-4)
        assert float(rate) == pytest.approx(rates[int(step) - 1], abs=1e-6)

    with (run_dir / "history.csv").open() as file:
        epochs = [float(row["train/loss"]) for row in csv.DictReader(file)]
    means = np.array([cross_entropy for cross_entropy, _ in losses]).reshape(-1, BATCHES).mean(1)
    np.testing.assert_allclose(epochs, means, atol=1e-5)  # the interrupted epoch is told whole
    assert len(epochs) == STEPS // BATCHES


def test_without_a_monitor_the_last_step_is_the_model(project):
    """Also where it is neither an epoch's last nor one of `every_n_steps`."""
    run_dir = project / "runs" / "recipe"
    fast = ("model=fully_connected", "logger=none", "checkpoint.every_n_steps=4", "trainer.max_steps=13")
    settings = compose(*fast)
    train(settings, run_dir)
    assert sorted(path.name for path in (run_dir / "checkpoints").iterdir()) == ["last.ckpt"]
    assert torch.load(run_dir / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 13
    with (run_dir / "history.csv").open() as file:
        first, second = csv.DictReader(file)
    assert (first["step"], second["step"]) == ("10", "13")
    assert float(first["val/acc"]) > 0
    assert float(second["val/acc"]) > 0  # an epoch cut short is validated all the same


@pytest.mark.parametrize("stop", [13, 20], ids=["mid-epoch", "end of an epoch"])
def test_a_longer_training_goes_on_as_if_it_had_never_stopped(project, stop):
    fast = ("model=fully_connected", "logger=none")
    for name, stops in (("once", [25]), ("twice", [stop, 25])):
        for number, max_steps in enumerate(stops):
            more = ["resume=latest"] if number else []
            train(compose(*fast, f"trainer.max_steps={max_steps}", *more), project / "runs" / name)
    histories = []
    for run_dir in (project / "runs" / "once", project / "runs" / "twice"):
        with (run_dir / "history.csv").open() as file:
            histories.append(list(csv.DictReader(file)))
    once, twice = (model_file.read(project / "runs" / name / "model") for name in ("once", "twice"))
    assert once.weights == twice.weights
    assert histories[0] == histories[1]
    assert [row["step"] for row in histories[0]] == ["10", "20", "25"]
