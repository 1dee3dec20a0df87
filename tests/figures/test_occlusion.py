"""The figure of occlusion sensitivity, read back from its artists."""

import numpy as np
import pytest
from drawn import texts

from convlab.figures.occlusion import occlusion


@pytest.mark.parametrize("num", [1, 4])
def test_occlusion_shows_image_and_map_side_by_side(num):
    image, values = np.zeros((1, 4, 4)), np.array([[0.0, 1.0], [0.5, 0.25]])
    figure = occlusion(
        [image] * num, [values] * num, ["cat"] * num, ["lowest 1 %"] * num, [(1, 2, 2)] * num,
        [(0, 4, 4, 0)] * num, "a note",
    )  # fmt: skip
    assert len(figure.axes) == 2 * num + 1  # and the scale
    assert texts(figure).count("cat") == texts(figure).count("lowest 1 %") == num
    shown = figure.axes[1].images[0]
    np.testing.assert_array_equal(shown.get_array(), values)
    assert shown.get_clim() == (0, 1)
    assert figure.axes[0].patches[0].get_bbox().bounds == (1, 2, 2, 2)
