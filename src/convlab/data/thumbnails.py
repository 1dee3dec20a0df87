"""Small copies of pictures, for pages that show many of them."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image

from convlab.data.image_file import open_image

SIDE = 128  # pixels, of the longer side: two for each that a page shows, sharp on a phone


def thumbnail(source: Path | str | bytes | BinaryIO, side: int = SIDE) -> Image.Image:
    """The image in a file, as `open_image` gives it, with no side above `side`; smaller ones as they are.

    A JPEG is decoded at a fraction of its size. Raises UnreadableImage.
    """
    return shrunk(open_image(source, shorter_side=side), side)


def shrunk(image: Image.Image, side: int = SIDE) -> Image.Image:
    """`image` with no side above `side`; itself where it is as small."""
    if max(image.size) <= side:
        return image
    copy = image.copy()
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    return copy
