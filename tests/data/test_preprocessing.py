"""Every number here is worked out by hand, or by torch's own resampling."""

import hashlib

import numpy as np
import pytest
import torch
from picture_files import encoded
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.data.image_file import open_image
from convlab.data.preprocessing import Preprocessing

INCEPTION = Preprocessing(size=299, channels=3, pixel_mean=(128,), pixel_std=(128,))
DIGITS = Preprocessing(size=28, channels=1, pixel_mean=(51,), pixel_std=(102,), pad=2)


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
        '{"channels":1,"format":2,"interpolation":"bilinear","pad":2,"pixel_mean":[51.0],'
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
