"""How long one photo takes from its file to its class."""

import io
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from convlab.preprocessing import Preprocessing

if TYPE_CHECKING:
    from convlab.prediction.predictor import Predictor

WARM_UP, REPETITIONS = 3, 20


def example_image(preprocessing: Preprocessing) -> bytes:
    """A JPEG of coloured (or grey) clouds, its sides twice what the network sees: nobody's photo."""
    side = 2 * preprocessing.size
    spots = np.random.default_rng(0).integers(0, 256, (8, 8, preprocessing.channels), dtype=np.uint8)
    clouds = Image.fromarray(spots.squeeze()).resize((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    clouds.save(file, "JPEG", quality=90)
    return file.getvalue()


def median_ms(predictor: "Predictor") -> float:
    """Median milliseconds from the file of `example_image` to its class, on the threads that torch takes."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(example_image(predictor.preprocessing))
        seconds = []
        for _ in range(WARM_UP + REPETITIONS):
            begun = time.perf_counter()
            predictor([photo]).argmax(1).item()
            seconds.append(time.perf_counter() - begun)
    return 1000 * statistics.median(seconds[WARM_UP:])
