"""Photos decoded ahead, by threads and by processes."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlab.bottleneck.decoding import Decoding, ahead
from convlab.data.photos import Photo, content_hash
from convlab.preprocessing import Preprocessing

SMALL = Preprocessing(size=4, channels=3, pixel_mean=(128,), pixel_std=(128,))


@pytest.mark.parametrize("by", [Decoding.by_threads, Decoding.by_processes])
def test_each_photo_comes_in_its_turn_or_the_reason_why_not(tmp_path: Path, by):
    """20 photos, more than two pieces: each of one colour, number 13 cut short, number 17 gone."""
    photos = []
    for i in range(20):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (6, 5), (i, 100 + i, 200 + i)).save(path)
        if i == 13:
            path.write_bytes(path.read_bytes()[:50])
        photos.append(Photo(content_hash(path), "colours", path.name))
    (tmp_path / "17.png").unlink()
    found = list(by(Decoding(tmp_path, photos, SMALL)))
    assert [content for content, _ in found] == [photo.content_hash for photo in photos]
    for i, (_, pixels) in enumerate(found):
        if i == 13:
            assert "truncated" in pixels
        elif i == 17:
            assert pixels == "No such file or directory"
        else:
            assert np.array_equal(pixels, np.full((3, 4, 4), [[[i]], [[100 + i]], [[200 + i]]], np.uint8))


def test_decoding_runs_ahead_of_the_reader_and_no_further():
    """With three ahead, the reader of item i finds at most items up to i + 3 begun."""
    begun, lock = [], threading.Lock()

    def work(item: int) -> int:
        with lock:
            begun.append(item)
        return item * 10

    for item, result in ahead(work, range(30), 3):
        assert result.result() == item * 10
        expected = min(item + 4, 30)
        until = time.monotonic() + 10
        while len(begun) < expected and time.monotonic() < until:
            time.sleep(0.001)  # the reader's own work, during which threads go on
        assert len(begun) == expected
