"""What the explaining figures show, read back from their artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from convlab.base.errors import ConvlabError
from convlab.figures import diagrams
from convlab.figures.style import LINE, VERMILLION


def boxes(axes):
    """Text by the colour of the box behind it, from left to right."""
    faces = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [
        (text.get_text(), to_hex(face.get_facecolor())) for text, face in zip(axes.texts, faces, strict=True)
    ]


def taps(axes):
    return [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]


def test_windows_zeros_and_unseen_pixels():
    valid, same = diagrams.windows(13, 6, 5).axes
    assert valid.get_title(loc="left") == "VALID: 2 windows, 2 pixels unseen"
    assert [text for text, face in boxes(valid) if face == VERMILLION] == ["12", "13"]
    assert taps(valid) == [[0, 1, 2, 3, 4, 5], [5, 6, 7, 8, 9, 10]]
    assert same.get_title(loc="left") == "SAME: 3 windows, 1 + 2 zeros"
    assert [(text, face == LINE) for text, face in boxes(same)][:2] == [("0", True), ("1", False)]
    assert sum(face == LINE for _, face in boxes(same)) == 3
    assert [window[0] for window in taps(same)] == [-1, 4, 9]
    assert valid.get_xlim() == same.get_xlim()  # the same pixel at the same place


def test_a_dilated_window_has_gaps_between_its_taps():
    (axes,) = diagrams.windows(10, 3, paddings=[0], dilation=4).axes
    assert axes.get_title(loc="left") == "P = 0: 2 windows, 4 pixels unseen"  # 3, 4, 7, 8
    assert taps(axes) == [[0, 4, 8], [1, 5, 9]]
    with pytest.raises(ConvlabError, match="does not fit into 4 pixels"):
        diagrams.windows(4, 7)


def test_images_share_one_scale_of_grey():
    figure = diagrams.images({"a": [[0, 1]], "b": [[2, 8]], "c": [[5, 5]]}, columns=2)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in shown] == ["a", "b", "c"]
    assert len(figure.axes) == 4  # two rows of two, the last cell empty
    assert {axes.images[0].get_clim() for axes in shown} == {(0, 8)}


def test_signed_images_have_white_at_zero():
    (axes,) = diagrams.images({"weights": [[-2.0, 0.5]]}, signed=True).axes
    picture = axes.images[0]
    assert picture.get_clim() == (-2, 2)
    np.testing.assert_allclose(picture.to_rgba([0.0])[0], (1, 1, 1, 1), atol=0.01)
    assert to_hex(picture.to_rgba([-2.0])[0]) == VERMILLION


def test_accuracies_along_a_range():
    figure = diagrams.accuracies([0, 1], {"a": [0.9, 0.8], "b": [0.7, 0.6]}, "Shifted", "pixels")
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.9, 0.8], [0.7, 0.6]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert axes.yaxis.get_major_formatter()(0.8).endswith(" %")
    assert (axes.get_title(loc="left"), axes.get_xlabel()) == ("Shifted", "pixels")


def test_a_connection_table_and_its_codes():
    codes = [[1, -1, -1, 1, 1, 1], [-1, -1, 1, 1, -1, -1]]
    figure = diagrams.connections_and_codes(((0, 2), (1,), (0, 2)), codes, 2, ["a", "b"])
    table, first, second = (axes for part in figure.subfigs for axes in part.axes)
    assert table.get_title(loc="left") == "5 kernels of 9"
    dots = {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in table.lines}
    assert dots == {"reads 1": [(1, 1)], "reads 2": [(0, 0), (0, 2), (2, 0), (2, 2)]}
    assert first.images[0].get_array().tolist() == [[1, -1], [-1, 1], [1, 1]]
    assert (first.get_title(), second.get_title()) == ("a", "b")
    assert first.images[0].cmap(1.0)[:3] < (0.1, 0.1, 0.1)  # ink is black
