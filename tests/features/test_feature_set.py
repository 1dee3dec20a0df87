"""The files of a feature set; csv and json themselves read them back."""

import csv
import hashlib
import io
import json

import pytest
from numbers_space import content, open_space, vectors

from convlab.data.index import Row, data_hash
from convlab.features.content_hashes import ContentHashes
from convlab.features.feature_set import write_feature_set

PATHS = [
    "rose/plain.jpg",
    "rose/with, comma.jpg",
    'rose/with "quotes".jpg',
    "daisy/with\nline.jpg",
    "daisy/ü.jpg",
]


def rows() -> list[Row]:
    found = [
        Row(content(i), path, path.split("/")[0], int(path.startswith("rose")), "train")
        for i, path in enumerate(PATHS)
    ]
    return sorted(found)


def write(tmp_path, photos, unreadable) -> bool:
    with open_space(tmp_path / "cache") as cache:
        cache.add([content(i) for i in range(5)], vectors(range(5)))
        hashes = ContentHashes(tmp_path / "hashes")
        return write_feature_set(
            tmp_path / "set", photos, unreadable, {"classes": ["daisy", "rose"]}, cache, hashes
        )


def test_the_index_is_what_csv_writes(tmp_path):
    assert write(tmp_path, rows(), {'b "1".jpg': "cut, off", "a.jpg": "empty"})
    expected = io.StringIO(newline="")
    writer = csv.writer(expected, lineterminator="\n")
    writer.writerow(["content_hash", "path", "class", "label", "split"])
    writer.writerows(rows())
    assert (tmp_path / "set" / "index.csv").read_bytes() == expected.getvalue().encode()
    with (tmp_path / "set" / "index.csv").open(newline="", encoding="utf-8") as file:
        assert sorted(row["path"] for row in csv.DictReader(file)) == sorted(PATHS)
    assert (tmp_path / "set" / "unreadable.csv").read_text() == (
        'path,reason\na.jpg,empty\n"b ""1"".jpg","cut, off"\n'
    )
    digest = hashlib.sha256((tmp_path / "set" / "vectors.npy").read_bytes()).hexdigest()
    assert json.loads((tmp_path / "set" / "meta.json").read_text())["vectors_sha256"] == digest


@pytest.mark.parametrize("name", ["index.csv", "unreadable.csv", "meta.json", "vectors.npy"])
@pytest.mark.parametrize("harm", ["cut", "longer", "gone", "line ends"])
def test_a_file_that_differs_is_written_again(tmp_path, name, harm):
    write(tmp_path, rows(), {})
    before = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    assert not write(tmp_path, rows(), {})
    path = tmp_path / "set" / name
    data = path.read_bytes()
    if harm == "gone":
        path.unlink()
    elif harm == "line ends":
        path.write_bytes(data.replace(b"\n", b"\r\n"))
    else:
        path.write_bytes(data[:-1] if harm == "cut" else data + b"x")
    assert write(tmp_path, rows(), {})
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == before


def test_one_photo_less_or_another_order_is_another_set(tmp_path):
    write(tmp_path, rows(), {})
    assert write(tmp_path, rows()[:-1], {})
    assert write(tmp_path, rows(), {})
    assert write(tmp_path, rows()[::-1], {})


def test_the_data_hash_is_of_sorted_lines(tmp_path):
    """Written out: one line a photo. A class name may sort differently once its line ends."""
    photos = [
        Row("b" * 64, "x", "rose", 1, "train"),
        Row("a" * 64, "y", "tab", 3, "val"),
        Row("a" * 64, "z", "tab\tand more", 4, "val"),
        Row("a" * 64, "w", "daisy", 0, "test"),
    ]
    lines = [f"{'a' * 64} daisy\n", f"{'a' * 64} tab\tand more\n", f"{'a' * 64} tab\n", f"{'b' * 64} rose\n"]
    assert data_hash(photos) == data_hash(photos[::-1]) == hashlib.sha256("".join(lines).encode()).hexdigest()
