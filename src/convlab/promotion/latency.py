"""How long one photo takes from its file to its class."""

import statistics
import tempfile
import time
from pathlib import Path

from convlab.data.example_image import example_image
from convlab.prediction.predictor import Predictor

WARM_UP, REPETITIONS = 3, 20


def median_ms(predictor: Predictor) -> float:
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
