"""Looks worked out by hand, and photos saved again."""

import io

import numpy as np
from PIL import Image

from convlab.data.index import Row
from convlab.data.looks import leak, look
from convlab.data.preprocessing import Preprocessing

SQUARE = Preprocessing(size=90, channels=3, pixel_mean=(0,), pixel_std=(1,))


def scene(seed: int) -> Image.Image:
    """A smooth picture in colour, 160 by 120, unlike those of other seeds."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((160, 120), Image.Resampling.BICUBIC)


def look_of(image: Image.Image, quality: int = 95) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return look(SQUARE.array(SQUARE.open(buffer.getvalue())))


def row(number: int, split: str) -> Row:
    return Row(f"{number:064x}", f"{split}/{number}.jpg", "a", 0, split)


def test_the_look_by_hand():
    """Nine steps of brightness: to the right all brighter, then downwards."""
    steps = np.repeat(np.arange(9, dtype=np.uint8) * 20, 10)
    right = np.broadcast_to(steps, (3, 90, 90))
    assert look(np.ascontiguousarray(right)) == b"\xff" * 8 + b"\0" * 8
    assert look(np.ascontiguousarray(right.transpose(0, 2, 1))) == b"\0" * 8 + b"\xff" * 8
    left = np.ascontiguousarray(right[:1, :, ::-1])
    assert look(left) == bytes(16)
    left[:, :30, 10:20] += 100  # now brighter than what stands to the left, in three of eight rows
    assert look(left) == b"\x80" * 3 + bytes(5) + bytes(16 - 8)


def test_photos_saved_again_in_other_ways_are_found_and_others_are_not():
    rows, looks = [], {}
    for seed in range(40):
        train, test = row(seed, "val" if seed % 3 else "train"), row(1000 + seed, "test")
        image = scene(seed)
        changed = {
            0: image.resize((80, 60)),
            1: image.point(lambda value: int(value * 0.8)),
            2: scene(500 + seed),  # another one
        }[seed % 3]
        rows += [train, test]
        looks |= {train.content_hash: look_of(image), test.content_hash: look_of(changed, quality=50)}
    found = leak(rows, looks)
    assert found.number == 27  # 14 smaller, 13 darker
    one, other = found.example
    assert (one, other) == ("test/1000.jpg", "train/0.jpg")


def test_pictures_of_one_colour_and_unknown_ones_are_compared_with_none():
    rows = [row(1, "train"), row(2, "test"), row(3, "test")]
    assert leak(rows, {each.content_hash: bytes(16) for each in rows[:2]}) is None
    assert leak(rows, {}) is None
    assert leak(rows[:1], {rows[0].content_hash: b"x" * 16}) is None
