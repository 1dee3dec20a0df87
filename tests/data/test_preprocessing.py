"""Every number here is worked out by hand, or by torch's own resampling."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.data.preprocessing import Preprocessing, UnreadableImage, open_image

INCEPTION = Preprocessing(size=299, channels=3, pixel_mean=(128,), pixel_std=(128,))
DIGITS = Preprocessing(size=28, channels=1, pixel_mean=(51,), pixel_std=(102,), pad=2)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def grey(rows) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype=np.uint8))


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
        (Image.new("I", (1, 1), 257 * 3), {"format": "TIFF"}, "L", 3),
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
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableImage, match="larger than 100 pixels"):
        open_image(encoded(Image.new("L", (side, side))))
    assert open_image(encoded(Image.new("L", (10, 10)))).size == (10, 10)


def test_squash_agrees_with_torch_on_what_bilinear_means():
    wide = np.random.default_rng(1).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    small = Preprocessing(size=24, channels=3, pixel_mean=(0,), pixel_std=(1,))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(wide).permute(2, 0, 1)[None].float(), (24, 24), mode="bilinear", antialias=True
    )
    found = small.pixels(Image.fromarray(wide))[None].float()
    assert (found - expected).abs().max() <= 1.0  # Pillow rounds after each of its two passes


def test_squash_ignores_the_ratio_and_crop_keeps_it():
    bands = np.zeros((2, 6, 3), dtype=np.uint8)
    bands[:, 2:4] = 255  # black, white, black from left to right
    image = Image.fromarray(bands)
    crop = Preprocessing(
        size=2, channels=3, pixel_mean=(0,), pixel_std=(1,), resize="crop", interpolation="nearest"
    )
    squash = Preprocessing(size=3, channels=3, pixel_mean=(0,), pixel_std=(1,), interpolation="nearest")
    assert crop.pixels(image).unique().tolist() == [255]
    assert squash.pixels(image)[0].tolist() == [[0, 255, 0]] * 3


def test_pixels_become_planes():
    image = Image.new("RGB", (1, 1), (10, 20, 30))
    one = Preprocessing(size=1, channels=3, pixel_mean=(0,), pixel_std=(1,))
    assert one.pixels(image).tolist() == [[[10]], [[20]], [[30]]]
    mono = Preprocessing(size=1, channels=1, pixel_mean=(0,), pixel_std=(1,))
    assert mono.pixels(image).tolist() == [[[18]]]  # 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15


def test_normalize_by_hand():
    pixels = torch.tensor([0, 64, 128, 192, 255, 0], dtype=torch.uint8).view(1, 3, 1, 2)
    assert INCEPTION.normalize(pixels).flatten().tolist() == [-1, -0.5, 0, 0.5, 127 / 128, -1]
    each = Preprocessing(size=1, channels=3, pixel_mean=(1, 2, 3), pixel_std=(1, 2, 4))
    ones = torch.full((1, 3, 1, 1), 7, dtype=torch.uint8)
    assert each.normalize(ones).flatten().tolist() == [6, 2.5, 1]


def test_padding_is_black_before_normalisation():
    """(0 - 51) / 102 = -0.5 around, (255 - 51) / 102 = 2 within."""
    padded = DIGITS.normalize(torch.full((5, 1, 28, 28), 255, dtype=torch.uint8))
    assert padded.shape == (5, *DIGITS.shape) == (5, 1, 32, 32)
    inside = padded[:, :, 2:30, 2:30]
    assert inside.unique().tolist() == [2.0]
    assert padded.sum().item() == pytest.approx(5 * (28 * 28 * 2.0 - (32 * 32 - 28 * 28) * 0.5))


def test_one_image_and_a_batch_are_prepared_alike():
    image = Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 30, 3), dtype=np.uint8))
    batch = torch.stack([INCEPTION.pixels(image)] * 2)
    assert torch.equal(INCEPTION(image), INCEPTION.normalize(batch)[1])
    assert INCEPTION(image).shape == INCEPTION.shape == (3, 299, 299)


def test_normalize_refuses_what_is_already_float():
    with pytest.raises(ValueError, match=r"expected uint8 n 3 h w, got torch\.float32"):
        INCEPTION.normalize(torch.zeros(1, 3, 4, 4))


def test_large_jpegs_are_decoded_at_a_fraction():
    photo = encoded(Image.new("RGB", (1600, 1200), "red"), "JPEG")
    small = Preprocessing(size=64, channels=3, pixel_mean=(0,), pixel_std=(1,))
    assert small.open(photo).size == (200, 150)  # an eighth; both sides stay above 2 * 64
    assert open_image(photo).size == (1600, 1200)
    assert INCEPTION.open(photo).size == (800, 600)


def test_the_fingerprint_covers_every_field():
    canonical = (
        '{"channels":1,"format":1,"interpolation":"bilinear","pad":2,"pixel_mean":[51.0],'
        '"pixel_std":[102.0],"resize":"squash","size":28}'
    )
    assert DIGITS.fingerprint() == hashlib.sha256(canonical.encode()).hexdigest()
    changes = {
        "size": 27,
        "channels": 3,
        "pixel_mean": (50,),
        "pixel_std": (100,),
        "resize": "crop",
        "interpolation": "bicubic",
        "pad": 0,
    }
    assert set(changes) == set(DIGITS.to_dict())
    prints = {
        Preprocessing.from_dict({**DIGITS.to_dict(), name: v}).fingerprint() for name, v in changes.items()
    }
    assert len(prints - {DIGITS.fingerprint()}) == len(changes)


def test_to_dict_and_back():
    assert Preprocessing.from_dict(INCEPTION.to_dict()) == INCEPTION
    assert INCEPTION.to_dict()["pixel_mean"] == [128.0, 128.0, 128.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 4}, "channels must be 1 or 3, not 4"),
        ({"resize": "stretch"}, "resize must be squash or crop, not 'stretch'"),
        ({"interpolation": "cubic"}, "must be one of nearest, bilinear"),
        ({"pixel_mean": [1, 2]}, "pixel_mean has 2 values for 3 channels"),
        ({"pixel_std": [0]}, "above zero"),
        ({"size": 0}, "size 0"),
        ({"scale": 2}, "unknown scale; known: channels"),
    ],
)
def test_bad_values_are_refused_with_the_value_shown(change, message):
    with pytest.raises(ConvlabError, match=message):
        Preprocessing.from_dict({**INCEPTION.to_dict(), "pixel_mean": [128], "pixel_std": [128], **change})


def test_a_missing_value_is_named():
    with pytest.raises(ConvlabError, match="pixel_std"):
        Preprocessing.from_dict({"size": 1, "channels": 1, "pixel_mean": [0]})
