"""No exported file is kept that predicts otherwise than the network it came from."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convlab.base.files import atomic_file
from convlab.base.project import project_dir
from convlab.data.image_file import UnreadableImage
from convlab.prediction import photo_sources
from convlab.prediction.export.formats import Compute, Format, NotExportable
from convlab.prediction.network_predictor import NetworkPredictor
from convlab.prediction.predictor import Photo, Predictor
from convlab.runs.run import Run

TOLERANCE = 1e-5  # of a probability
NUM_IMAGES = 16


def export(
    predictor: NetworkPredictor, name: str, format: Format, path: Path, images: Iterable[Photo]
) -> float:
    """Write `path`; returns the `largest_difference`. Raises NotExportable, with nothing written."""
    content = format.write(predictor, name)
    difference = largest_difference(predictor, format.read(content), images)
    with atomic_file(path) as file:
        file.write(content)
    return difference


def largest_difference(predictor: Predictor, exported: Compute, images: Iterable[Photo]) -> float:
    """Of any probability of `images`, the first computed alone, the others together.

    Raises NotExportable above TOLERANCE.
    """
    pixels = np.stack([predictor.pixels(image) for image in images])
    expected = predictor.probabilities(pixels)
    found = np.concatenate([exported(part) for part in (pixels[:1], pixels[1:]) if len(part)])
    difference = float(np.nan_to_num(np.abs(found - expected), nan=np.inf).max())
    if difference > TOLERANCE:
        raise NotExportable(
            f"the export predicts otherwise than the model: a probability differs by {difference:.2g} on "
            f"{len(pixels)} images, more than {TOLERANCE:g}. It is not kept."
        )
    return difference


def images_of(run: Run) -> list[Image.Image]:
    """NUM_IMAGES of a run's test split, evenly spaced, less those whose files are gone.

    Raises NotExportable if all are.
    """
    data, images = run.data_module(), []
    for index in spaced(range(len(data.labels("test")))):
        with suppress(UnreadableImage):
            images.append(data.image("test", index))
    if not images:
        raise NotExportable(f"none of {run.name}'s test images can be read, to check an export with.")
    return images


def sample_photos() -> list[Photo]:
    """NUM_IMAGES photos of the embedded sample, for a model that comes without its data."""
    folder = project_dir() / "assets" / "sample"
    sources = photo_sources.find([str(folder if folder.is_dir() else project_dir() / "data")])
    return [source.read() for source in spaced(sources)]


def spaced(things: Sequence[Any]) -> list[Any]:
    """NUM_IMAGES of `things`, evenly spaced; all if they are fewer."""
    positions = np.linspace(0, len(things) - 1, min(NUM_IMAGES, len(things))).round().astype(int)
    return [things[position] for position in positions]
