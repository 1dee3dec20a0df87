"""Paths and thumbnails of a run's test images, read back from the files."""

import json

import numpy as np
import pytest
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.runs import test_images

SHADES = np.arange(50, dtype=np.uint8) * 5


def cells(images):
    """The thumbnails, cut out of their sheets as images.json says."""
    for sheet in images.sheets:
        with Image.open(images.folder / sheet.file) as picture:
            for place, (width, height) in enumerate(sheet.sizes):
                row, column = divmod(place, sheet.columns)
                left, top = column * sheet.cell[0], row * sheet.cell[1]
                yield picture.convert("RGB").crop((left, top, left + width, top + height))


def test_small_pictures_keep_every_pixel(tmp_path):
    """50 digits' sheets hold 1,024 at most, so 1,100 take two."""
    written = [Image.fromarray(np.full((28, 28), SHADES[n % 50])) for n in range(1100)]
    test_images.write(tmp_path, map(str, range(1100)), written)
    found = test_images.read(tmp_path, 1100, "")
    assert [len(sheet.sizes) for sheet in found.sheets] == [1024, 76]
    assert found.paths[1024] == "1024"
    assert [image.getpixel((5, 5))[0] for image in cells(found)] == [int(SHADES[n % 50]) for n in range(1100)]
    assert {path.name for path in found.files} == {"images.json", "000.webp", "001.webp"}


def test_photos_keep_their_shape_and_a_missing_one_its_place(tmp_path):
    written = [Image.new("RGB", (128, 60), "red"), None, Image.new("L", (40, 128), 200)]
    test_images.write(tmp_path, ["a.jpg", "b.jpg", "c.jpg"], written)
    found = test_images.read(tmp_path, 3, "")
    wide, gone, tall = cells(found)
    assert (wide.size, gone.size, tall.size) == ((128, 60), (0, 0), (40, 128))
    assert np.abs(np.array(wide.getpixel((64, 30))) - [255, 0, 0]).max() < 12
    assert np.abs(np.array(tall.getpixel((20, 64))) - 200).max() < 12


def test_paths_within_the_project_are_relative_to_it(project):
    images = test_images.write(
        project, [f"{project}/photos/a.jpg", "/elsewhere/b.jpg", "data/c.jpg"], [None] * 3
    )
    assert images.paths == ["photos/a.jpg", "/elsewhere/b.jpg", "data/c.jpg"]


def test_a_second_evaluation_leaves_nothing_of_the_first(tmp_path):
    for count in (1100, 20):
        test_images.write(tmp_path, ["x"] * count, [Image.new("L", (28, 28))] * count)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["000.webp", "images.json"]
    first = (tmp_path / "images" / "000.webp").read_bytes()
    test_images.write(tmp_path, ["x"] * 20, [Image.new("L", (28, 28))] * 20)
    assert (tmp_path / "images" / "000.webp").read_bytes() == first


def test_what_cannot_be_is_refused(tmp_path):
    assert test_images.read(tmp_path, 1, "") is None
    test_images.write(tmp_path, ["x"], [Image.new("L", (28, 28))])
    with pytest.raises(ConvlabError, match=r"expected 2 paths and thumbnails, found \(1, 1\). Again."):
        test_images.read(tmp_path, 2, "Again.")
    index = tmp_path / "images" / "images.json"
    said = json.loads(index.read_text())
    (tmp_path / "secret").touch()
    for name in ("../secret", "gone.webp"):
        index.write_text(json.dumps(said | {"sheets": [said["sheets"][0] | {"file": name}]}))
        with pytest.raises(ConvlabError, match=f"there is no sheet {name}"):
            test_images.read(tmp_path, 1, "")
    index.write_text('{"paths": []}')
    with pytest.raises(ConvlabError, match=r"images.json can't be read \(KeyError\('sheets'\)\)"):
        test_images.read(tmp_path, 1, "")
