"""An image to try a model with."""

import io

import numpy as np
from PIL import Image

from convlab.data.preprocessing import Preprocessing


def example_image(preprocessing: Preprocessing) -> bytes:
    """A JPEG of coloured (or grey) clouds, its sides twice what the network sees: nobody's photo."""
    side = 2 * preprocessing.size
    spots = np.random.default_rng(0).integers(0, 256, (8, 8, preprocessing.channels), dtype=np.uint8)
    clouds = Image.fromarray(spots.squeeze()).resize((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    clouds.save(file, "JPEG", quality=90)
    return file.getvalue()
