"""The strongest activations against a search over all images, map by map."""

import pytest
import torch
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet import strongest as module
from convlab.explain.deconvnet.projection import activations
from convlab.explain.deconvnet.strongest import Strongest, choose, strongest
from convlab.models.lenet import LeNet5


def by_hand(network, images, layer, index, num):
    """(image, row, column, activation) of a map's strongest, one an image; of equal ones the first."""
    found = []
    for number, values in enumerate(activations(network, images, layer)[:, index].tolist()):
        places = [(-value, r, c) for r, row in enumerate(values) for c, value in enumerate(row)]
        negative, row, column = min(places)
        found.append((negative, number, row, column))
    return [(number, row, column, -negative) for negative, number, row, column in sorted(found)[:num]]


def listed(best: Strongest, index: int):
    places = zip(best.images[index].tolist(), best.positions[index].tolist(), strict=True)
    return [(n, *place, a) for (n, place), a in zip(places, best.activations[index].tolist(), strict=True)]


@pytest.mark.parametrize("batch_size", [1, 4, 30])
def test_every_map_of_every_layer_against_a_search_over_all_images(monkeypatch, batch_size):
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 3 * 32 * 32)  # a batch is cut further
    torch.manual_seed(0)
    network, images = LeNet5().eval(), torch.rand(30, 1, 32, 32)
    images[20] = images[3]  # an equal activation of every map: the first wins
    done = []
    found = strongest(network, images.split(batch_size), advance=done.append)
    assert sum(done) == 30
    assert list(found) == ["c1", "relu1", "s2", "c3", "relu3", "s4", "c5", "relu5"]  # and no vector
    for layer in ("c1", "s2", "relu3", "c5"):
        for index in range(len(found[layer].activations)):
            wanted = by_hand(network, images, layer, index, 9)
            got = listed(found[layer], index)
            assert [each[:3] for each in got] == [each[:3] for each in wanted]
            assert [each[3] for each in got] == pytest.approx([each[3] for each in wanted], abs=1e-6)


def test_ties_go_to_the_first_image_and_the_first_position():
    network = nn.Sequential(nn.Conv2d(1, 1, 1))
    network[0].weight.data.fill_(1)
    network[0].bias.data.zero_()
    images = torch.zeros(5, 1, 2, 2)
    images[1, 0, 1, 0] = images[1, 0, 1, 1] = images[4, 0, 0, 1] = 7  # 7 in images 1 and 4, twice in image 1
    images[2, 0, 0, 0] = 8
    found = strongest(network, images.split(2), num=4)["0"]
    assert listed(found, 0) == [(2, 0, 0, 8), (1, 1, 0, 7), (4, 0, 1, 7), (0, 0, 0, 0)]


def test_fewer_images_than_asked_for():
    found = strongest(nn.Sequential(nn.Conv2d(1, 3, 2)), [torch.rand(4, 1, 5, 5)])["0"]
    assert found.activations.shape == found.images.shape == (3, 4)
    assert found.positions.shape == (3, 4, 2)


def test_the_maps_that_react_most_are_chosen_and_those_that_never_do_are_not():
    activations = torch.tensor(
        [[1.0, 1.0], [9.0, -9.0], [-1.0, -2.0], [4.0, 4.0], [0.0, 0.0]]
    )  # 1, 4.5, 0, 4, 0
    best = Strongest(activations, torch.zeros(5, 2, dtype=torch.long), torch.zeros(5, 2, 2, dtype=torch.long))
    assert choose(best, 1) == [1]
    assert choose(best, 2) == [1, 3]
    assert choose(best, 5) == [0, 1, 3]


def test_no_images_and_activations_that_are_no_numbers_are_refused():
    network = nn.Sequential(nn.Conv2d(1, 1, 1))
    with pytest.raises(ConvlabError, match="no images"):
        strongest(network, [])
    network[0].weight.data.fill_(torch.nan)
    with pytest.raises(ConvlabError, match="not finite"):
        strongest(network, [torch.rand(1, 1, 2, 2)])
