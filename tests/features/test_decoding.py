"""Photos decoded ahead, by threads and by processes."""

import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from convlab.base.files import file_hash
from convlab.data.decoding import Decoding, ahead
from convlab.data.photos import Photo
from convlab.data.preprocessing import Preprocessing

SMALL = Preprocessing(size=4, channels=3, pixel_mean=(128,), pixel_std=(128,))


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    """400 photos below tmp_path, each of a colour of its own; number 13 is cut short, number 17 gone."""
    found = []
    for i in range(400):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (6, 5), (i % 256, i // 256, 200)).save(path)
        if i == 13:
            path.write_bytes(path.read_bytes()[:50])
        found.append(Photo(file_hash(path), "colours", path.name))
    (tmp_path / "17.png").unlink()
    return found


@pytest.mark.parametrize("processes", [False, True])
def test_each_batch_holds_its_photos_and_says_which_it_could_not_read(tmp_path, photos, processes):
    """400 photos in batches of 12; kept one further batch, while others are decoded into the same memory."""
    before = None
    decoding = Decoding(tmp_path, photos, SMALL, 12, 1, processes=processes)
    for number, batch in enumerate(decoding):
        expected = [i for i in range(12 * number, min(12 * number + 12, 400)) if i not in (13, 17)]
        assert batch.contents == [photos[i].content_hash for i in expected]
        if number == 1:
            assert len(batch.failed) == 2
            assert "truncated" in batch.failed[photos[13].content_hash]
            assert batch.failed[photos[17].content_hash] == "No such file or directory"
        else:
            assert batch.failed == {}
        time.sleep(0.005)  # the reader's own work, during which decoding goes on as far as it may
        for those, pixels in filter(None, [before, (expected, batch.pixels)]):
            colours = torch.tensor([[i % 256, i // 256, 200] for i in those], dtype=torch.uint8)
            assert torch.equal(pixels, colours[:, :, None, None].expand(-1, 3, 4, 4))
        before = expected, batch.pixels
    assert number == 33


def test_the_memory_holds_some_batches_however_many_photos_there_are(tmp_path, photos):
    """64 photos ahead are six batches of 12; with the one in hand and two kept, nine."""
    decoding = Decoding(tmp_path, photos, SMALL, 12, 2, processes=False)
    assert decoding._memory.nbytes == 9 * 12 * 3 * 4 * 4


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
