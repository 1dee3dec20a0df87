"""Extraction against a plain forward pass, with a small real network."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash
from convlab.data.photos import Photo
from convlab.data.preprocessing import Preprocessing
from convlab.features.backbone import Backbone
from convlab.features.cache import BottleneckCache
from convlab.features.extract import extract
from convlab.features.runtimes.choice import make_runtime
from convlab.features.runtimes.work import Work

SMALL = Preprocessing(size=32, channels=3, pixel_mean=(128,), pixel_std=(128,))
BACKBONE = Backbone("tiny", "test_resnet")


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    """Ten PNGs of 40x30 noise below tmp_path."""
    random = np.random.default_rng(0)
    found = []
    for i in range(10):
        path = tmp_path / f"{i}.png"
        Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(path)
        found.append(Photo(file_hash(path), "noise", path.name))
    return found


def cache(tmp_path: Path) -> BottleneckCache:
    return BottleneckCache(tmp_path / "cache", "tiny", {})


def torch_runtime(num_images: int, batch_size: int, backbone: Backbone = BACKBONE):
    return make_runtime("torch", Work(backbone, SMALL, num_images, batch_size))


def test_vectors_equal_a_plain_forward_of_timms_model(tmp_path, photos):
    with cache(tmp_path) as vectors:
        report = extract(tmp_path, photos, SMALL, torch_runtime, vectors, batch_size=4)
        with (tmp_path / "v.npy").open("wb") as file:
            vectors.export([photo.content_hash for photo in photos], file)
    assert (report.reused, report.computed, report.failed) == (0, 10, {})

    torch.manual_seed(0)
    plain = timm.create_model("test_resnet", num_classes=0).eval()
    images = np.stack(
        [
            np.asarray(Image.open(tmp_path / p.path).resize((32, 32), Image.Resampling.BILINEAR))
            for p in photos
        ]
    )
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))
    with torch.no_grad():
        expected = plain((inputs - 128) / 128)
    assert np.abs(np.load(tmp_path / "v.npy") - expected.numpy()).max() < 1e-5


def test_only_what_is_missing_is_computed_and_nothing_is_loaded_for_nothing(tmp_path, photos):
    def no_need(num_images, batch_size):
        raise AssertionError("nothing is to be computed")

    with cache(tmp_path) as vectors:
        extract(tmp_path, photos[:7], SMALL, torch_runtime, vectors, batch_size=4)
        report = extract(tmp_path, photos, SMALL, torch_runtime, vectors, batch_size=4)
        assert (report.reused, report.computed) == (7, 3)
        report = extract(tmp_path, [*photos, *photos], SMALL, no_need, vectors, batch_size=4)
        assert (report.reused, report.computed) == (10, 0)


def test_unreadable_photos_are_reported_and_cost_no_other(tmp_path, photos):
    broken = tmp_path / photos[2].path
    broken.write_bytes(broken.read_bytes()[:500])
    bad = Photo(file_hash(broken), "noise", photos[2].path)
    gone = Photo("0" * 64, "noise", "gone.png")
    changed = Photo("1" * 64, "noise", photos[5].path)  # its bytes are not those of this hash
    with cache(tmp_path) as vectors:
        report = extract(
            tmp_path,
            [*photos[:2], bad, gone, changed, *photos[3:]],
            SMALL,
            torch_runtime,
            vectors,
            batch_size=4,
        )
        assert len(vectors) == report.computed == 9
        assert "1" * 64 not in vectors
    assert report.failed.keys() == {bad.content_hash, gone.content_hash, changed.content_hash}
    assert "truncated" in report.failed[bad.content_hash]
    assert report.failed[gone.content_hash] == "No such file or directory"
    assert "changed while it was read" in report.failed[changed.content_hash]


def test_a_backbone_that_gives_maps_is_refused(tmp_path, photos):
    unpooled = Backbone("tiny", "test_resnet", options={"global_pool": ""})
    with (
        cache(tmp_path) as vectors,
        pytest.raises(ConvlabError, match=r"\(4, 96, 1, 1\).*expected vectors n d"),
    ):
        extract(tmp_path, photos, SMALL, lambda *of: torch_runtime(*of, unpooled), vectors, batch_size=4)


def test_the_next_batch_is_computing_while_one_is_kept_and_no_more(tmp_path, photos):
    """What the runtime had to do at each moment that a result was asked for."""
    begun, asked = [], []
    plain = torch_runtime(10, 4)

    def load(num_images: int, batch_size: int):
        assert (num_images, batch_size) == (10, 4)

        def runtime(pixels: torch.Tensor):
            begun.append(len(pixels))
            finish = plain(pixels)

            def vectors() -> torch.Tensor:
                asked.append(begun.copy())
                return finish()

            return vectors

        return runtime

    with cache(tmp_path) as vectors:
        extract(tmp_path, photos, SMALL, load, vectors, batch_size=4)
    assert asked == [[4, 4], [4, 4, 2], [4, 4, 2]]


def test_what_was_computed_before_a_failure_is_kept(tmp_path, photos):
    plain, calls = torch_runtime(10, 4), []

    def fails_at_the_third(pixels: torch.Tensor):
        calls.append(len(pixels))
        if len(calls) < 3:
            return plain(pixels)
        raise ConvlabError("the machine is out of memory")

    with pytest.raises(ConvlabError, match="out of memory"), cache(tmp_path) as vectors:
        extract(tmp_path, photos, SMALL, lambda *_: fails_at_the_third, vectors, batch_size=4)
    with cache(tmp_path) as vectors:
        assert len(vectors) == 4  # the second batch was computing
