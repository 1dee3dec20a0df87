"""Occlusion against a loop over squares, and on a network whose answer is known."""

import pytest
import torch
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet.occlusion import cover, occlusion, places
from convlab.models.lenet import LeNet


@torch.no_grad()
def test_against_a_loop():
    torch.manual_seed(0)
    network, image = LeNet().eval(), torch.randn(1, 28, 28)
    found = occlusion(network, image, label=3, size=6, stride=5)
    assert found.rows == found.columns == [1, 6, 11, 16, 21, 26]
    for i, row in enumerate(found.rows):
        for j, column in enumerate(found.columns):
            covered = image.clone()
            for y in range(28):
                for x in range(28):
                    if row - 3 <= y < row + 3 and column - 3 <= x < column + 3:
                        covered[0, y, x] = image.mean()
            probabilities = network(covered[None]).softmax(1)[0]
            assert float(found.probabilities[i, j]) == pytest.approx(float(probabilities[3]), abs=1e-6)
            assert int(found.choices[i, j]) == int(probabilities.argmax())
    assert found.uncovered == pytest.approx(float(network(image[None]).softmax(1)[0, 3]), abs=1e-6)


def test_only_the_pixel_that_decides_matters():
    """Two classes, told apart by the pixel at row 2, column 5."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False))
    network[1].weight.data.zero_()
    network[1].weight.data[1, 2 * 8 + 5] = 10
    image = torch.zeros(1, 8, 8)
    image[0, 2, 5] = 1
    done = []
    found = occlusion(network, image, label=1, size=3, stride=1, advance=done.append)
    assert sum(done) == 64
    low = found.probabilities < 0.6  # the mean, 1/64, in its place: sigmoid(10/64) = 0.539
    assert torch.nonzero(low).tolist() == [[r, c] for r in (1, 2, 3) for c in (4, 5, 6)]
    assert found.probabilities[2, 5] == pytest.approx(0.539, abs=1e-3)
    assert found.uncovered == pytest.approx(1 / (1 + 2.718281828**-10))


def test_a_square_is_cut_at_the_edge_and_has_the_channel_s_mean():
    image = torch.stack([torch.full((3, 3), 2.0), torch.arange(9.0).reshape(3, 3)])
    covered = cover(image, 0, 2, 3)
    assert covered[0].tolist() == [[2] * 3] * 3
    assert covered[1].tolist() == [[0, 4, 4], [3, 4, 4], [6, 7, 8]]  # the mean of 0 to 8
    assert image[1, 0, 2] == 2  # the image itself is left alone


def test_places_are_as_far_from_both_edges():
    assert places(28, 1) == list(range(28))
    assert places(10, 4) == [0, 4, 8]  # 9 and 1 left: one pixel cannot be shared
    assert places(11, 4) == [1, 5, 9]


@pytest.mark.parametrize(("size", "stride"), [(0, 1), (8, 1), (3, 0)])
def test_a_square_that_leaves_nothing_to_see_is_refused(size, stride):
    with pytest.raises(ConvlabError, match=rf"occlusion.size={size}, occlusion.stride={stride}"):
        occlusion(nn.Flatten(), torch.zeros(1, 8, 8), 0, size, stride)
