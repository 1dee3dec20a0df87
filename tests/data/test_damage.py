"""JPEGs that decode, and yet are not what they were."""

import io

import numpy as np
import pytest
from PIL import Image

from convlab.data.damage import doubt


def jpeg(**options) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"optimize": True},
        {"quality": 100, "subsampling": 0},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 3, "progressive": True},
        {"exif": b"Exif\0\0" + bytes(range(256)) * 4, "comment": b"\xff\xd9" * 50},
    ],
)
def test_a_whole_one_is_not_doubted(options):
    whole = jpeg(**options)
    assert doubt(whole) is None
    assert doubt(whole + whole) is None  # a second picture behind it, as cameras put there
    assert doubt(whole + b"\0\0\0\x18ftypmp42" + bytes(50_000)) is None  # a film behind it
    assert doubt(whole + bytes(20)) is None


def scan_of(whole: bytes) -> int:
    return whole.index(b"\xff\xda") + 14


def test_one_whose_end_is_zeros_or_missing():
    whole = jpeg()
    middle = len(whole) // 2
    for cut in (whole[:middle] + bytes(len(whole) - middle), whole[:-2]):
        assert doubt(cut) == "it has no end: part of the picture may be missing"


def test_one_that_ends_early():
    whole = jpeg()
    place = scan_of(whole) + 100
    early = whole[:place] + b"\xff\xd9" + whole[place + 2 :]
    assert doubt(early) == "it ends early: part of the picture may be missing"


@pytest.mark.parametrize("planted", [b"\xff\x42", b"\xff\xc0", b"\xff\xd8", b"\xff\xd3"])
def test_one_with_bytes_that_no_encoder_writes(planted):
    """0xFF is followed by 0 in a scan; 0xD3 is a restart, of which this picture has none."""
    whole = jpeg()
    place = scan_of(whole) + 100
    assert doubt(whole[:place] + planted + whole[place + 2 :]).startswith("it is damaged")


def test_one_whose_restarts_are_out_of_order():
    whole = jpeg(restart_marker_rows=1)
    assert b"\xff\xd2" in whole[scan_of(whole) :]
    assert doubt(whole.replace(b"\xff\xd2", b"\xff\xd5")).startswith("it is damaged")


@pytest.mark.parametrize("other", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n"])
def test_what_is_no_jpeg_is_none_of_its_business(other):
    assert doubt(other) is None
