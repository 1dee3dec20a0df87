"""From an image file to an upright picture, in colour or in grey, of 8 bits.

What changes the picture that a file gives raises FORMAT in `preprocessing.py`.
"""

import io
import os
import re
import struct
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from convlab.base.errors import ConvlabError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")  # not EPS and its like, which start an interpreter
MAX_PIXELS = 256_000_000  # no phone's picture has more; what a stranger sends may have fewer (serving)
MAX_PIXELS_VARIABLE = "CONVLAB_MAX_PIXELS"
DEPTHS = (8, 12, 16)  # bits of grey that 16 or 32 bits may hold
ORIENTATION = 274  # the tag's number in EXIF and TIFF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # orientation -> what turns the picture upright
warnings.simplefilter("error", Image.DecompressionBombWarning)  # up to twice the limit Pillow only warns
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of metadata, without a name
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # bytes: colour profiles of some MB are in use


class UnreadableImage(ConvlabError):
    """This file is no image that can be used: damaged, truncated, too large, or of no known kind."""


def max_pixels() -> int:
    """The largest picture that is decoded: MAX_PIXELS, or what CONVLAB_MAX_PIXELS says.

    Raises ConvlabError unless it says a number of pixels.
    """
    said = os.environ.get(MAX_PIXELS_VARIABLE, "").replace("_", "")
    if said and not (said.isdecimal() and int(said) > 0):
        raise ConvlabError(f"{MAX_PIXELS_VARIABLE}={said}: expected a number, for instance 300_000_000")
    return int(said) if said else MAX_PIXELS


def open_image(
    source: Path | str | bytes | BinaryIO, *, shorter_side: int = 0, limit: int | None = None
) -> Image.Image:
    """The image in a file, upright, as RGB, or as L if it has no colour; of an animation, the first frame.

    Transparent pixels are shown on white. Grey of more than 8 bits is scaled to 8, `info["depth"]` tells from
    how many. With `shorter_side`, a JPEG may come smaller: at the strongest of the reductions 1/2, 1/4, 1/8
    that leaves both sides at least that many pixels, which costs a fraction of the time. `limit`: of pixels,
    where fewer than `max_pixels` are to be decoded.

    Raises UnreadableImage, saying why.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    Image.MAX_IMAGE_PIXELS = max_pixels()
    try:
        with Image.open(file, formats=FORMATS) as image:
            if limit and image.width * image.height > limit:
                raise Image.DecompressionBombError
            if shorter_side:
                image.draft(None, (shorter_side, shorter_side))
            image.load()
            plain, turn = _plain(image), TURNS.get(_orientation(image))
            return plain if turn is None else plain.transpose(turn)
    except UnidentifiedImageError:
        reason = f"not an image of a known kind ({', '.join(FORMATS)})"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = limit or Image.MAX_IMAGE_PIXELS
        reason = f"larger than {most:,} pixels; scale it down, or set {MAX_PIXELS_VARIABLE}"
    except MemoryError:
        reason = "not enough memory to decode it"
    except Exception as error:  # Pillow's decoders raise a dozen kinds for damaged bytes
        reason = str(error) or type(error).__name__
    if isinstance(source, bytes):
        raise UnreadableImage(reason)
    name = source if isinstance(source, Path | str) else getattr(source, "name", "image")
    raise UnreadableImage(f"{name}: {reason}")


def _plain(image: Image.Image) -> Image.Image:
    """`image` in mode RGB or L."""
    if image.mode.startswith("I"):  # 16-bit grey; also what Pillow holds in 32-bit integers
        return _grey(np.asarray(image), image.info.get("transparency"))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def _grey(values: np.ndarray, transparent: int | None) -> Image.Image:
    """Mode L from whole numbers h w, scaled from the fewest of DEPTHS bits that hold the brightest of them.

    No file says how many of its 16 bits a microscope, a scanner or an X-ray detector filled: with 12 in use,
    a division by 257 leaves a picture nearly black.
    """
    if values.min() < 0 or values.max() >= 2 ** DEPTHS[-1]:
        raise ValueError(
            f"grey from {values.min():,} to {values.max():,} has no known range; save it with 8 or 16 bits"
        )
    depth = next(bits for bits in DEPTHS if values.max() < 2**bits)
    scaled = (values / ((2**depth - 1) / 255)).round().astype(np.uint8)
    if transparent is not None:
        scaled[values == transparent] = 255
    image = Image.fromarray(scaled)
    image.info["depth"] = depth
    return image


def _orientation(image: Image.Image) -> int:
    """1 to 8 from EXIF, from TIFF's own tags, or from XMP; 1 where there is none that can be read."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        value = image.tag_v2.get(ORIENTATION, 1)
        try:
            return int(value[0] if isinstance(value, bytes | tuple) else value)
        except (ValueError, TypeError, LookupError, ArithmeticError):  # of a type that is no number's
            return 1
    exif = image.info.get("exif")
    if exif is None and (raw := image.info.get("Raw profile type exif")):  # how older PNGs keep it
        exif = _hexadecimal("".join(raw.split("\n")[3:]))  # after an empty line, its name and its length
    return (exif and _orientation_tag(exif)) or _orientation_of_xmp(image) or 1


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:  # cut off, or garbage
        return b""


def _orientation_tag(exif: bytes) -> int | None:
    """The one tag, whatever the others hold: phones write some that no reader takes.

    EXIF 2.32, 4.6: a TIFF header, then directory 0 of entries tag, type, count, value.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (number,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * number, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
            if tag == ORIENTATION:
                return _whole(exif, order, kind, entry + 8)
    except struct.error:  # cut off
        pass
    return None


def _whole(exif: bytes, order: str, kind: int, place: int) -> int | None:
    """A whole number of TIFF's type `kind`; it ought to be a SHORT, and is not always."""
    letter = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i"}.get(kind)
    if letter:
        return int(struct.unpack_from(f"{order}{letter}", exif, place)[0])
    if kind in (5, 10):  # a fraction, which lies elsewhere
        (place,) = struct.unpack_from(f"{order}I", exif, place)
        above, below = struct.unpack_from(f"{order}{'II' if kind == 5 else 'ii'}", exif, place)
        return above // below if below else None
    return None


def _orientation_of_xmp(image: Image.Image) -> int | None:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    found = re.search(rb'tiff:Orientation(?:="|>)([1-8])', xmp)
    return int(found[1]) if found else None
