"""A server of the trained LeNet-5, for the tests that ask it."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from serving import Server, serving

from convlab.data.mnist import Mnist
from convlab.data.preprocessing import Preprocessing

PIXELS = Preprocessing(size=28, channels=1, pixel_mean=(0,), pixel_std=(1,))


@pytest.fixture(scope="session")
def server(trained: Path) -> Iterator[Server]:
    """With limits that tests can reach: 1 MB, 5 seconds."""
    with serving(trained, "--model", "lenet5", "--max-mb", "1", "--timeout", "5") as running:
        yield running


@pytest.fixture(scope="session")
def digits(trained: Path) -> list[bytes]:
    """The first 50 test digits as PNG files, in the order of predictions.npz."""
    data, files = Mnist(trained / "data" / "digits", PIXELS, 100, num_val=297), []
    for index in range(50):
        file = io.BytesIO()
        data.image("test", index).save(file, "PNG")
        files.append(file.getvalue())
    return files


@pytest.fixture(scope="session")
def expected(trained: Path) -> np.ndarray:
    """What evaluation found for them: probabilities n 10."""
    with np.load(trained / "runs" / "lenet5" / "predictions.npz") as arrays:
        return arrays["probabilities"][:50]
