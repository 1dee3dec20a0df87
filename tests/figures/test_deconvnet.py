"""What the figures show, read back from the pixels that they paint."""

import numpy as np
from drawn import pixels, texts

from convlab.figures import deconvnet as figures
from convlab.figures.tiles import OUTSIDE


def test_strongest_activations_paint_projection_and_patch_cell_by_cell():
    empty = np.array([[[np.nan, 1.0], [np.nan, -1.0]]])
    pairs = [(empty, np.array([[[np.nan, 0.2], [np.nan, 1.0]]]))]
    figure = figures.strongest_activations({7: pairs, 12: pairs}, "pool: title", "a note")
    assert {"pool: title", "a note", "map 7", "map 12"} <= set(texts(figure))
    block = figure.axes[0].images[0].get_array()
    # 2x2 pixels enlarged 33 times; three cells of 66 and four gaps of 3 a side
    assert block.shape == (210, 420, 3)
    outside = (OUTSIDE * 255).round().astype(int).tolist()
    assert block[5, 5].tolist() == outside  # beyond the image
    assert block[5, 5 + 33].tolist() == [255] * 3  # its largest value
    assert block[5 + 33, 5 + 33].tolist() == [0] * 3  # and minus that
    assert block[5, 215 + 33].tolist() == [51] * 3  # the patch: 0.2
    assert block[100, 100].tolist() == outside  # no second activation
    shown = pixels(figure)
    height, width = shown.shape[:2]
    assert (shown == outside).all(axis=2).sum() > 2 * 60_000  # nothing was resampled away
    assert (width, height) == tuple(round(side * 144) for side in figure.get_size_inches())


def test_a_large_field_is_averaged_down():
    patch = np.zeros((3, 200, 200))
    patch[0, :100] = 1
    figure = figures.strongest_activations({0: [(patch, patch)]}, "t", "n")
    block = figure.axes[0].images[0].get_array()
    assert block.shape == (3 * 110 + 12, 2 * (3 * 110 + 12), 3)
    assert block[10, 342 + 10].tolist() == [255, 0, 0]
    assert block[100, 342 + 10].tolist() == [0, 0, 0]


def test_filters_share_one_scale():
    weights = np.array([[[[2.0]]], [[[-1.0]]]])
    images = figures.filters(weights, "t", "n").axes[0].images
    assert [int(image.get_array()[0, 0, 0]) for image in images] == [255, 64]  # 0.25 * 255 = 63.75


def test_activations_have_a_row_a_layer_and_a_scale_a_row():
    image = np.full((1, 2, 2), 0.5)
    maps = np.array([[[0.0, 4]], [[2, 0]], [[9, 9]]])
    layers = [("relu", maps, [0, 1]), ("fc", np.array([-1.0, 1.0]), [])]
    figure = figures.activations(image, layers, ["cat", "dog"], "t", "n")
    assert {"relu", "3 x 1 x 2", "fc", "2", "0", "1", "cat", "dog", "image"} <= set(texts(figure))
    picture, first, second, strip = [image.get_array() for image in figure.axes[0].images]
    assert picture[0, 0].tolist() == [128] * 3
    assert [int(first[0, x, 0]) for x in (0, -1)] == [0, 255]  # the third map's 9 is not shown: 4 is white
    assert [int(second[0, x, 0]) for x in (0, -1)] == [128, 0]
    assert [int(strip[5, x, 0]) for x in (5, -5)] == [0, 255]
