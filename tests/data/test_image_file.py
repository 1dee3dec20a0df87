"""Every number here is worked out by hand."""

import struct
from pathlib import Path

import numpy as np
import pytest
from picture_files import encoded, grey
from PIL import Image, PngImagePlugin, TiffImagePlugin

from convlab.base.errors import ConvlabError
from convlab.data.image_file import UnreadableImage, open_image


@pytest.mark.parametrize(
    ("orientation", "shown"),
    [
        (1, [[10, 20], [30, 40]]),
        (2, [[20, 10], [40, 30]]),  # mirrored left to right
        (3, [[40, 30], [20, 10]]),  # turned by 180 degrees
        (4, [[30, 40], [10, 20]]),  # mirrored top to bottom
        (5, [[10, 30], [20, 40]]),  # transposed
        (6, [[30, 10], [40, 20]]),  # to be turned clockwise
        (7, [[40, 20], [30, 10]]),
        (8, [[20, 40], [10, 30]]),  # to be turned anticlockwise
    ],
)
def test_exif_orientation_is_respected(orientation, shown):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(grey([[10, 20], [30, 40]]), exif=exif)
    assert np.asarray(open_image(stored)).tolist() == shown


def test_a_phone_photo_held_upright_is_upright():
    """Orientation 6, as phones write it: the sensor's left edge is the picture's top."""
    sensor = Image.new("RGB", (80, 40), "blue")
    sensor.paste("red", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = open_image(encoded(sensor, "JPEG", exif=exif, quality=95))
    assert picture.size == (40, 80)
    assert picture.getpixel((20, 10))[0] > 240  # red above
    assert picture.getpixel((20, 70))[2] > 240  # blue below


def palette_image() -> Image.Image:
    image = Image.new("P", (1, 1))
    image.putpalette([200, 100, 50])
    return image


@pytest.mark.parametrize(
    ("image", "options", "mode", "pixel"),
    [
        (Image.new("RGB", (1, 1), (1, 2, 3)), {}, "RGB", (1, 2, 3)),
        (Image.new("RGBA", (1, 1), (9, 9, 9, 0)), {}, "RGB", (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (0, 100, 255, 128)), {}, "RGB", (127, 177, 255)),  # c*a + 255*(1-a)
        (Image.new("LA", (1, 1), (0, 128)), {}, "RGB", (127, 127, 127)),
        (palette_image(), {}, "RGB", (200, 100, 50)),
        (palette_image(), {"transparency": 0}, "RGB", (255, 255, 255)),
        (palette_image(), {"transparency": b"\x80"}, "RGB", (227, 177, 152)),
        (Image.new("1", (1, 1), 1), {}, "L", 255),
        (Image.new("L", (1, 1), 77), {}, "L", 77),
        (Image.fromarray(np.array([[32896]], dtype=np.uint16)), {}, "L", 128),  # 32896 = 128 * 257
        (Image.fromarray(np.array([[65535]], dtype=np.uint16)), {}, "L", 255),
        (Image.new("CMYK", (1, 1), (255, 0, 0, 0)), {"format": "TIFF"}, "RGB", (0, 255, 255)),
        (Image.new("I", (1, 1), 257 * 77), {"format": "TIFF"}, "L", 77),
    ],
)
def test_every_mode_becomes_rgb_or_grey(image, options, mode, pixel):
    opened = open_image(encoded(image, **options))
    assert (opened.mode, opened.getpixel((0, 0))) == (mode, pixel)


def test_the_first_frame_of_an_animation():
    frames = [Image.new("L", (2, 2), shade) for shade in (10, 200)]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_image(animation).convert("L").getpixel((0, 0)) == 10


def test_damaged_files_are_refused_with_the_reason(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), "JPEG")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImage, match=r"cut\.jpg: .*truncated"):
        open_image(cut)
    with pytest.raises(UnreadableImage, match=r"^not an image of a known kind \(JPEG, PNG"):
        open_image(b"<html>not found</html>")
    with pytest.raises(UnreadableImage, match="not an image"):
        open_image(b"")
    with pytest.raises(UnreadableImage, match="No such file"):
        open_image(tmp_path / "absent.png")
    with pytest.raises(UnreadableImage, match="no known range"):
        open_image(encoded(Image.new("F", (1, 1), 0.5), "TIFF"))


def test_postscript_is_never_interpreted():
    with pytest.raises(UnreadableImage, match="not an image"):
        open_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize("side", [12, 20])  # Pillow warns about the first, and refuses the second
def test_a_decompression_bomb_is_refused_before_decoding(monkeypatch, side):
    monkeypatch.setenv("CONVLAB_MAX_PIXELS", "1_00")
    with pytest.raises(UnreadableImage, match=r"larger than 100 pixels; .* set CONVLAB_MAX_PIXELS"):
        open_image(encoded(Image.new("L", (side, side))))
    assert open_image(encoded(Image.new("L", (10, 10)))).size == (10, 10)
    with pytest.raises(UnreadableImage, match="larger than 99 pixels"):
        open_image(encoded(Image.new("L", (10, 10))), limit=99)


def test_the_largest_phone_photo_is_read_without_a_setting():
    """108 megapixels, 12,000 by 9,000; Pillow's own limit is 89."""
    assert open_image(encoded(Image.new("L", (12_000, 9_000)), "JPEG"), shorter_side=100).size == (1500, 1125)


@pytest.mark.parametrize("said", ["many", "0", "-5", "1e9"])
def test_a_limit_that_is_no_number_of_pixels_is_refused(monkeypatch, said):
    monkeypatch.setenv("CONVLAB_MAX_PIXELS", said)
    with pytest.raises(ConvlabError, match=f"CONVLAB_MAX_PIXELS={said}: expected a number"):
        open_image(encoded(Image.new("L", (1, 1))))


def deep(values: list[int], dtype=np.uint16, format="PNG", **options) -> Image.Image:
    return open_image(encoded(Image.fromarray(np.array([values], dtype=dtype)), format, **options))


@pytest.mark.parametrize(
    ("values", "depth", "shown"),
    [
        ([0, 128, 255], 8, [0, 128, 255]),
        ([0, 2048, 4095], 12, [0, 128, 255]),  # 2048 / 4095 * 255 = 127.53
        ([0, 256], 12, [0, 16]),  # 256 / 4095 * 255 = 15.94
        ([0, 32896, 65535], 16, [0, 128, 255]),
        ([0, 4096], 16, [0, 16]),  # 4096 / 257 = 15.94
    ],
)
def test_deep_grey_is_scaled_from_the_bits_in_use(values, depth, shown):
    for dtype, format in [(np.uint16, "PNG"), (np.uint16, "TIFF"), (np.int32, "TIFF")]:
        image = deep(values, dtype, format)
        assert np.asarray(image).tolist() == [shown]
        assert image.info["depth"] == depth


@pytest.mark.parametrize(("values", "said"), [([-5, 70], "-5 to 70"), ([0, 65536], "0 to 65,536")])
def test_deep_grey_without_a_known_range_is_refused(values, said):
    with pytest.raises(UnreadableImage, match=f"grey from {said} has no known range"):
        deep(values, np.int32, "TIFF")


def test_a_transparent_value_of_deep_grey_is_shown_on_white():
    assert np.asarray(deep([0, 1000, 4095], transparency=1000)).tolist() == [[0, 255, 255]]


def tiff(entries: list[tuple[int, int, int, bytes]], order: str, beyond: bytes = b"") -> bytes:
    """An EXIF block, by TIFF 6.0: entries of tag, type, count and four bytes; `beyond` begins at its end."""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    rows = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0" + header + rows + bytes(4) + beyond


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["SHORT", "BYTE", "LONG", "RATIONAL"])
def test_orientation_is_read_whatever_the_other_tags_hold(order, kind):
    """XResolution as text is what some phones write; Pillow's own turning then fails."""
    beyond = 8 + 2 + 2 * 12 + 4
    number, value = {
        "SHORT": (3, struct.pack(f"{order}HH", 6, 0)),
        "BYTE": (1, bytes([6, 0, 0, 0])),
        "LONG": (4, struct.pack(f"{order}I", 6)),
        "RATIONAL": (5, struct.pack(f"{order}I", beyond)),
    }[kind]
    text = (0x011A, 2, 4, b"72 \0")
    exif = tiff([(0x0112, number, 1, value), text], order, struct.pack(f"{order}II", 6, 1))
    for format in ("JPEG", "PNG", "WEBP"):
        assert open_image(encoded(Image.new("RGB", (80, 40)), format, exif=exif)).size == (40, 80)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0no TIFF at all",
        b"Exif\0\0II*\0\xff\xff\xff\xff",  # a directory beyond the end
        tiff([(0x0112, 3, 1, b"\x09\0\0\0")], "<"),  # orientation 9
        tiff([(0x0112, 2, 1, b"6\0\0\0")], "<"),  # as text
        tiff([(0x0112, 5, 1, b"\0\0\0\0")], "<"),  # a fraction that is part of the header
        b"",
    ],
)
@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG"])
def test_garbage_for_exif_leaves_the_picture_as_it_is(exif, format):
    assert open_image(encoded(Image.new("RGB", (80, 40)), format, exif=exif)).size == (80, 40)


@pytest.mark.parametrize(("digits", "size"), [(None, (40, 80)), ("123", (80, 40)), ("no digits", (80, 40))])
def test_orientation_as_older_pngs_keep_it(digits, size):
    """ImageMagick's text chunk: an empty line, "exif", the length, and hexadecimal digits."""
    exif = tiff([(0x0112, 3, 1, struct.pack("<HH", 6, 0))], "<")
    notes = PngImagePlugin.PngInfo()
    text = f"\nexif\n{len(exif):8}\n{exif.hex() if digits is None else digits}\n"
    notes.add_text("Raw profile type exif", text)
    assert open_image(encoded(Image.new("RGB", (80, 40)), pnginfo=notes)).size == size


def test_orientation_of_a_tiff_and_of_xmp():
    exif = Image.Exif()
    exif[0x0112] = 8
    assert open_image(encoded(Image.new("RGB", (80, 40)), "TIFF", exif=exif)).size == (40, 80)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert open_image(encoded(Image.new("RGB", (80, 40)), "JPEG", xmp=xmp)).size == (40, 80)


def test_an_orientation_of_a_tiff_that_is_no_number_turns_nothing():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[0x0112] = 2  # text
    tags[0x0112] = "upright"
    assert open_image(encoded(Image.new("RGB", (80, 40)), "TIFF", tiffinfo=tags)).size == (80, 40)


def test_a_png_with_megabytes_of_text_and_profile_is_read():
    notes = PngImagePlugin.PngInfo()
    notes.add_text("history", "x" * 3_000_000, zip=True)
    profile = bytes(3_000_000)
    assert open_image(encoded(Image.new("L", (2, 2), 9), pnginfo=notes, icc_profile=profile)).size == (2, 2)
