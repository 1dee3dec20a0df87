"""Arrays as pictures: which shade a value becomes."""

import numpy as np

from convlab.figures.tiles import signed


def test_grey_is_zero_and_the_largest_value_white_or_black():
    assert signed(np.array([[[0.0, 2, -4]]]))[0, :, 0].tolist() == [0.5, 0.75, 0]
    assert signed(np.array([[[0.0, 2, -4]]]), largest=8)[0, :, 0].tolist() == [0.5, 0.625, 0.25]
    assert signed(np.zeros((1, 1, 2)))[0, :, 0].tolist() == [0.5, 0.5]
    colour = signed(np.array([[[1.0]], [[0.0]], [[-1.0]]]))
    assert colour.tolist() == [[[1, 0.5, 0]]]
