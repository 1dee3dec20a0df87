"""Affine maps of images: what one does to a pixel, worked out by hand."""

import math

import pytest
import torch

from convlab.base.errors import ConvlabError
from convlab.data.augmentation import Affine, warp


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def most(**settings):
    """The largest map that the settings allow, each parameter at its upper end."""
    return Affine(**settings).matrices(torch.ones(6, 1))


def dot(y, x):
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, y, x] = 1
    return image


def test_nothing_asked_nothing_done():
    images = torch.rand(3, 1, 8, 8, generator=generator())
    assert torch.allclose(Affine()(images, generator()), images, atol=1e-6)


def test_a_shift_of_one_pixel_takes_each_value_from_the_next_one():
    moved = warp(dot(2, 2), most(shift=1.0))
    assert torch.allclose(moved, dot(1, 1), atol=1e-6)


def test_a_quarter_turn_brings_the_right_to_the_top():
    turned = warp(dot(2, 4), most(rotation=90.0))  # y counts downwards
    assert torch.allclose(turned, dot(0, 2), atol=1e-5)


def test_a_quarter_turn_of_an_image_that_is_not_square():
    image = torch.zeros(1, 1, 3, 7)
    image[0, 0, 1, 4] = 1  # one right of the centre
    turned = warp(image, most(rotation=90.0))
    assert torch.allclose(turned[0, 0, :, 3], torch.tensor([1.0, 0.0, 0.0]), atol=1e-5)  # one above it


def test_matrices_by_hand():
    (matrix,) = most(rotation=30.0, scale=0.1, shear=0.2, shift=3.0)
    cos, sin = math.cos(math.pi / 6), 0.5
    expected = [[1.1 * cos, 0.2 * cos - 1.1 * sin, 3.0], [1.1 * sin, 0.2 * sin + 1.1 * cos, 3.0]]
    assert torch.allclose(matrix, torch.tensor(expected))


def test_each_draw_spans_its_range_to_both_sides():
    least = Affine(rotation=10.0, shift=2.0).matrices(-torch.ones(6, 1))[0]
    assert torch.allclose(least[:, 2], torch.tensor([-2.0, -2.0]))
    assert torch.rad2deg(torch.atan2(least[1, 0], least[0, 0])).item() == pytest.approx(-10)


def test_draws_are_uniform():
    image = torch.arange(11.0).expand(4000, 1, 11, 11)  # its middle column shows where it comes from
    shifts = Affine(shift=2.0)(image, generator())[:, 0, 5, 5] - 5
    assert -2 <= shifts.min() < -1.99 < 1.99 < shifts.max() <= 2
    assert shifts.mean().item() == pytest.approx(0, abs=0.05)
    assert shifts.var().item() == pytest.approx(4 / 3, abs=0.05)  # (2 * 2)^2 / 12


def test_images_are_mapped_each_in_its_own_way_and_repeatably():
    images = torch.rand(1, 1, 8, 8, generator=generator()).expand(2, -1, -1, -1)
    affine = Affine(rotation=20.0, shift=1.0)
    once, twice = affine(images, generator(1)), affine(images, generator(1))
    assert torch.equal(once, twice)
    assert not torch.allclose(once[0], once[1], atol=0.01)


def test_half_of_the_images_are_mirrored_and_the_other_draws_stay():
    row = torch.tensor([1.0, 2, 3, 4]).expand(1000, 1, 1, 4)
    mirrored = Affine(mirror=0.5)(row, generator())[:, 0, 0]
    forth, back = (
        torch.isclose(mirrored, row[0, 0, 0, order]).all(1) for order in ([0, 1, 2, 3], [3, 2, 1, 0])
    )
    assert (forth | back).all()
    assert 450 < back.sum() < 550  # mean 500, standard deviation 16
    moved = Affine(shift=0.5)(row, generator())[:, 0, 0]
    both = Affine(shift=0.5, mirror=0.5)(row, generator())[:, 0, 0]
    torch.testing.assert_close(both[forth], moved[forth])  # drawn before


def test_what_comes_from_outside_is_the_edge():
    assert torch.equal(warp(torch.ones(1, 1, 5, 5), most(shift=4.0)), torch.ones(1, 1, 5, 5))


@pytest.mark.parametrize("settings", [{"rotation": -1.0}, {"scale": 1.0}, {"shear": 1.5}, {"shift": -0.1}])
def test_settings_that_make_no_sense_are_refused(settings):
    (name,) = settings
    with pytest.raises(ConvlabError, match=rf"augmentation.{name}={settings[name]}"):
        Affine(**settings)
