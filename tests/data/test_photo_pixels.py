"""Photos as pixels: the photos, classes and splits of the stage `features`, whatever the folder holds."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from PIL import Image

from convlab.base import config
from convlab.base.errors import ConvlabError
from convlab.cli.commands import features
from convlab.data import photo_pixels
from convlab.data.photo_pixels import PhotoPixels
from convlab.data.preprocessing import Preprocessing

SPLIT = {"val": 0.25, "test": 0.25}
EIGHT = Preprocessing(size=8, channels=3, pixel_mean=(100,), pixel_std=(2,))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """photos/{daisy,rose}: 20 each, one repeated, one broken; photos/torn holds nothing that can be read."""
    root = tmp_path / "photos"
    for i in range(40):
        path = root / ("daisy" if i % 2 else "rose") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    (root / "rose" / "again.png").write_bytes((root / "rose" / "0.png").read_bytes())
    for path in ("rose/broken.png", "torn/other.png"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(b"no picture: " + path.encode())
    return root


def pixels(root: Path, **arguments) -> PhotoPixels:
    given = {"split": SPLIT, "preprocessing": EIGHT, "batch_size": 7} | arguments
    return PhotoPixels(str(root), **given)


def test_the_same_photos_classes_splits_and_hash_as_the_features(project, photos):
    """Held against what the stage wrote for the same folder."""
    words = ["data=patches", f"data.dir={photos}", "data.split={val: 0.25, test: 0.25}"]
    assert features.run([*words, "backbone=resnet18_random", "backbone.architecture=test_resnet"]) == 0
    written = project / "features" / "patches" / "resnet18_random"
    with (written / "index.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    meta = json.loads((written / "meta.json").read_text())
    data = pixels(photos)
    assert data.classes == meta["classes"] == ["daisy", "rose"]
    assert data.lineage() == {"data_hash": meta["data_hash"], "substitutes": []}
    for split in ("train", "val", "test"):
        expected = [row for row in index if row["split"] == split]
        assert data.labels(split).tolist() == [int(row["label"]) for row in expected]
        for i, row in enumerate(expected):
            with Image.open(photos / row["path"]) as photo:
                assert np.array_equal(np.asarray(data.image(split, i)), np.asarray(photo))
                assert data.source(split, i) == str(photos / row["path"])
                assert data.thumbnail(split, i).size == photo.size  # smaller than a thumbnail
    assert sum(len(data.labels(split)) for split in ("train", "val", "test")) == 40


@pytest.mark.parametrize("kept_bytes", [10**9, 5 * 3 * 8 * 8, 0])
def test_batches_are_what_the_preprocessing_makes_of_each_photo(photos, monkeypatch, kept_bytes):
    """Whether all, five or none of the photos are in memory."""
    monkeypatch.setattr(photo_pixels, "KEPT_BYTES", kept_bytes)
    data = pixels(photos)
    for split in ("train", "val", "test"):
        batches = list(data.batches(split))
        images = torch.cat([images for images, _ in batches])
        expected = [EIGHT(data.image(split, i)) for i in range(len(data.labels(split)))]
        assert torch.equal(images, torch.stack(expected))
        assert torch.equal(torch.cat([labels for _, labels in batches]), data.labels(split))
        assert {len(labels) for _, labels in batches[:-1]} <= {7}


def test_training_batches_are_shuffled_by_the_seed(photos):
    first, again, other = (
        torch.cat([images for images, _ in pixels(photos, seed=seed).train_dataloader()])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first.sort(0).values, other.sort(0).values)


def test_so_many_photos_a_class(photos):
    data = pixels(photos, per_class=3)
    assert data.labels("train").bincount().tolist() == [3, 3]
    assert data.lineage() == pixels(photos).lineage()
    with pytest.raises(ConvlabError, match=r"data\.module\.per_class=21: class"):
        pixels(photos, per_class=21)


def test_unreadable_photos_are_named(photos, capsys):
    pixels(photos)
    printed = capsys.readouterr().out
    assert "photos that could not be read, left out: 2" in printed
    assert "rose/broken.png: not an image of a known kind" in printed
    assert "torn/other.png: not an image of a known kind" in printed


def test_a_folder_without_two_readable_classes_is_refused(photos):
    for path in (photos / "rose").iterdir():
        path.write_bytes(b"torn " + path.name.encode())
    with pytest.raises(
        ConvlabError,
        match=r"could be read, in 1 classes; at least two .* The first that could not: rose/",
    ):
        pixels(photos)


@pytest.mark.parametrize(
    ("split", "message"),
    [({"val": 0, "test": 0.25}, "no photo fell into the val split"), ({"val": 0.5, "test": 0.5}, "shares")],
)
def test_splits_that_leave_nothing_are_refused(photos, split, message):
    with pytest.raises(ConvlabError, match=message):
        pixels(photos, split=split)


@pytest.mark.parametrize(
    ("words", "shape", "std"),
    [
        (["backbone=resnet18_random", "backbone.preprocessing.size=32"], (3, 32, 32), 4),
        (["backbone=none"], (3, 64, 64), 128),
        (["backbone=none", "data.pixels.size=48"], (3, 48, 48), 128),
    ],
)
def test_the_backbone_decides_what_it_sees(project, words, shape, std):
    settings = config.plain(config.compose("train", ["data=patches_pixels", *words]))
    data = instantiate(settings["data"]["module"], _convert_="all")
    assert data.input_shape == shape
    images, _ = next(iter(data.val_dataloader()))
    first = np.asarray(data.image("val", 0).resize(shape[1:], Image.Resampling.BILINEAR), dtype=np.float32)
    assert torch.equal(images[0], torch.from_numpy((first - 128) / std).permute(2, 0, 1))


def test_over_all_folds_each_photo_but_the_test_photos_is_measured_once(photos):
    plain = pixels(photos)
    measured = []
    for index in (1, 2, 3):
        data = pixels(photos, fold={"index": index, "count": 3})
        held = {row.path for row in data._splits["test"]}
        trained = {row.path for row in plain._splits["train"]}
        assert {row.path for row in data._splits["train"]} == trained - held
        measured += [row.path for row in data._splits["test"]]
    assert sorted(measured) == sorted(row.path for split in ("train", "val") for row in plain._splits[split])


def test_what_the_owner_should_know_is_said(photos, capsys):
    (photos / "rose" / "notes.txt").write_text("not a photo")
    pixels(photos)
    said = capsys.readouterr().out
    for words in (
        "files that repeat a photo of their own class, left out: 1",
        "ignored files that are not of a known image type: 1 .txt",
        "class folders without a photo to use, left out: torn (none that can be read)",
        "photos that could not be read, left out: 2",
    ):
        assert words in said


def test_a_divided_folder_keeps_its_splits(tmp_path):
    shades = iter(range(0, 250, 10))
    for split, number in (("train", 4), ("valid", 2), ("test", 3)):
        for name in ("cat", "dog"):
            for each in range(number):
                path = tmp_path / split / name / f"{each}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (8, 8), next(shades)).save(path)
    data = pixels(tmp_path)
    assert data.classes == ["cat", "dog"]
    assert [len(data.labels(split)) for split in ("train", "val", "test")] == [8, 4, 6]


def test_training_photos_are_augmented_and_no_others(photos):
    def negative(images, generator):
        return -images

    plain, augmented = pixels(photos), pixels(photos, augmentation=negative)
    for split, sign in (("train", -1), ("val", 1), ("test", 1)):
        seed = 1 if split == "train" else None
        for (expected, _), (images, _) in zip(
            plain.batches(split, seed), augmented.batches(split, seed), strict=True
        ):
            torch.testing.assert_close(images, sign * expected)
