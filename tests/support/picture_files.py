"""Pictures as the bytes of files."""

import io

import numpy as np
from PIL import Image


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def grey(rows) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype=np.uint8))
