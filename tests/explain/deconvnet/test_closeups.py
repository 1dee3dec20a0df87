"""Close-ups against the projection of the whole image."""

import random

import pytest
import torch
from torch import nn

from convlab.explain.deconvnet.closeups import closeups, fields_of, reversible_layers
from convlab.explain.deconvnet.projection import activations, crop, project
from convlab.models.lenet import LeNet, LeNet5


def deep(channels: int = 3) -> nn.Sequential:
    """Padded 3x3 convolutions and pooling, as VGG stacks them."""
    layers: list[nn.Module] = []
    for maps, pool in ((4, nn.MaxPool2d(2)), (5, nn.MaxPool2d(3, stride=2)), (6, nn.AvgPool2d(2))):
        layers += [nn.Conv2d(channels, maps, 3, padding=1), nn.ReLU(), nn.Dropout(), pool]
        channels = maps
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (LeNet(), (1, 28, 28)),
        (LeNet(pooling="average"), (1, 28, 28)),
        (LeNet5(), (1, 32, 32)),
        (deep(), (3, 45, 38)),
        (
            nn.Sequential(nn.Conv2d(1, 3, 5, stride=3, padding=2), nn.ReLU(), nn.Conv2d(3, 2, 3, 2)),
            (1, 41, 41),
        ),
    ],
)
def test_a_closeup_is_the_projection_cut_to_the_receptive_field(network, shape):
    torch.manual_seed(0)
    network, images, draw = network.eval(), torch.randn(12, *shape), random.Random(0)
    fields = fields_of(network, images[:1])
    assert list(fields) == reversible_layers(network)
    for layer, field in fields.items():
        size = activations(network, images[:1], layer).shape[1:]
        maps = [draw.randrange(size[0]) for _ in images]
        positions = [(draw.randrange(size[1]), draw.randrange(size[2])) for _ in images]
        positions[:2] = [(0, 0), (size[1] - 1, size[2] - 1)]
        whole = project(network, images, layer, maps, torch.tensor(positions))
        patches, projections = crop(images, whole.boxes), crop(whole.pixels, whole.boxes)
        made = closeups(network, images, layer, field, maps, positions)
        for index, each in enumerate(made):
            assert each.box == tuple(whole.boxes[index].tolist())
            assert each.activation == pytest.approx(float(whole.activations[index]), abs=1e-5)
            for values, wanted in ((each.patch, patches[index]), (each.projection, projections[index])):
                assert values.shape == (
                    shape[0],
                    *(min(f.size, n) for f, n in zip(field, shape[1:], strict=True)),
                )
                seen = ~values.isnan()
                assert int(seen.sum()) == wanted.numel()
                torch.testing.assert_close(values[seen], wanted.flatten(), rtol=1e-4, atol=1e-5)


def test_a_field_that_reaches_beyond_the_image_leaves_that_part_empty():
    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False))
    network[0].weight.data = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    image = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 2], [0, 0, 0]]).reshape(1, 1, 4, 3)
    fields = fields_of(network, image)["0"]
    (corner,) = closeups(network, image, "0", fields, [0], [(0, 0)])
    assert corner.activation == 5  # the filter's middle on the pixel of 1
    assert corner.box == (0, 0, 2, 2)
    empty = [True] * 3
    assert corner.patch[0].isnan().tolist() == [empty, [True, False, False], [True, False, False]]
    assert corner.patch[0, 1:, 1:].tolist() == [[1, 0], [0, 0]]
    assert corner.projection[0, 1:, 1:].tolist() == [[25, 30], [40, 45]]  # 5 times 5, 6, 8, 9


def test_where_the_way_back_ends():
    assert reversible_layers(LeNet()) == ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2"]
    assert reversible_layers(deep()) == [
        "0",
        "1",
        "3",
        "4",
        "5",
        "7",
        "8",
        "9",
        "11",
    ]  # dropout changes nothing
    assert reversible_layers(nn.Sequential(nn.Flatten(), nn.Linear(4, 2))) == []
    assert fields_of(nn.Sequential(nn.Flatten()), torch.zeros(1, 1, 2, 2)) == {}
