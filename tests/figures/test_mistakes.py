"""The gallery of the worst mistakes, read back from the artists and from the pixels."""

import numpy as np
import pytest
from drawn import pixels, texts
from matplotlib.colors import to_hex
from PIL import Image

from convlab.figures.mistakes import mistakes, worst_mistakes
from convlab.figures.style import BLUE, VERMILLION


def test_worst_mistakes_are_the_surest_wrong_answers():
    labels = [0, 1, 0, 1, 0]
    probabilities = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.01, 0.99], [0.4, 0.6]]
    assert worst_mistakes(labels, probabilities).tolist() == [2, 1, 4]  # 1 and 4 tie
    assert worst_mistakes(labels, probabilities, limit=1).tolist() == [2]


def test_gallery_shows_truth_top_three_and_the_image():
    red = Image.new("RGB", (30, 20), "#ff0000")
    probabilities = [[0.05, 0.61, 0.04, 0.3], [0.0, 1.0, 0.0, 0.0]]
    figure = mistakes([red, Image.new("L", (9, 9))], [3, 1], probabilities, ["w", "x", "y", "z"])
    assert texts(figure) == ["true: z", "x", "61 %", "z", "30 %", "w", "5 %"]
    bars = figure.axes[0].patches
    shares = [bar.get_width() / 1.7 for bar in bars]  # of a card's 1.7 inches
    assert shares == pytest.approx([0.61, 0.3, 0.05])
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [VERMILLION, BLUE, VERMILLION]
    assert (pixels(figure) == [255, 0, 0]).all(axis=2).sum() > 5000


def test_gallery_takes_the_worst_and_keeps_to_its_limit():
    images = [Image.new("L", (4, 4), shade) for shade in range(30)]
    wrong = [[0.4 - k / 100, 0.6 + k / 100] for k in range(30)]
    figure = mistakes(images, [0] * 30, wrong, ["a", "b"], limit=7)
    pictures = figure.axes[0].images
    assert [picture.get_array()[0, 0, 0] for picture in pictures] == [29, 28, 27, 26, 25, 24, 23]


def test_gallery_keeps_the_shape_of_a_photo():
    figure = mistakes([Image.new("RGB", (40, 10), "#ff0000")], [0], [[0.1, 0.9]], ["a", "b"])
    rows, columns = np.where((pixels(figure) == [255, 0, 0]).all(axis=2))
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(4, rel=0.03)


def test_no_mistake_is_said():
    assert texts(mistakes([Image.new("L", (4, 4))], [0], [[0.9, 0.1]], ["a", "b"])) == ["No mistakes"]
    assert texts(mistakes([], np.zeros(0), np.zeros((0, 2)), ["a", "b"])) == ["No mistakes"]
