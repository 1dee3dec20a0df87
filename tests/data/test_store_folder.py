"""Photos in an object store end as the same photos in a folder do."""

from pathlib import Path

import numpy as np
import pytest
from object_server import new_bucket
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.base.object_store import ObjectStore
from convlab.cli.commands import evaluate, features, train
from convlab.data.store_folder import StoreFolder, StoreHashes

SMALL = ("backbone=resnet18_random", "backbone.architecture=test_resnet", "backbone.preprocessing.size=32")


@pytest.fixture
def photos(store_server, tmp_path) -> str:
    """The address of the sample's patches, some hidden files beside them."""
    store = ObjectStore(f"{new_bucket(store_server)}/photos")
    root = Path(__file__).parents[2] / "assets" / "sample" / "patches"
    for path in root.rglob("*.jpg"):
        store.put(str(path.relative_to(root)), path.read_bytes())
    for name in (".hidden/a.jpg", "@eaDir/b.jpg", "loose.txt"):
        store.put(name, b"x")
    return store.address


def files(project: Path, name: str) -> dict[str, bytes]:
    folder = project / "features" / name / "resnet18_random"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "meta.json"}


def test_vectors_are_those_of_a_folder_and_a_head_is_trained_on_them(project, photos, capsys):
    assert features.run(["data=patches", *SMALL]) == 0
    stored = ("data=photos", f"data.dir={photos}", "data.name=stored", "data.split.stratified=false", *SMALL)
    assert features.run([*stored]) == 0
    here, there = files(project, "patches"), files(project, "stored")
    assert here["vectors.npy"] == there["vectors.npy"]
    capsys.readouterr()
    assert features.run([*stored]) == 0
    assert "reused 120, computed 0" in capsys.readouterr().out
    words = ("experiment=patches_linear_head", "trainer.max_epochs=1", "evaluate=true", "logger=none")
    assert train.run([*words, *stored, "name=stored"]) == 0
    sheet = Image.open(next((project / "runs" / "stored" / "images").glob("*.webp")))
    assert np.asarray(sheet).std() > 10  # thumbnails of real pictures
    assert evaluate.run(["stored"]) == 0


def test_only_what_changed_is_read_again(photos, tmp_path, monkeypatch):
    read: list[str] = []
    real = StoreHashes._read
    monkeypatch.setattr(StoreHashes, "_read", lambda self, path: read.append(path) or real(self, path))
    folder, kept = StoreFolder(photos), tmp_path / "kept"
    paths = [entry.path for entry in folder.entries() if entry.path.endswith(".jpg")]
    assert len(paths) == 120

    def digests() -> dict[str, str]:
        hashes = StoreHashes(kept, folder)
        found = {path: hashes.of(f"{folder}/{path}") for path in paths}
        hashes.save()
        return found

    first = digests()
    assert sorted(read) == sorted(paths)
    read.clear()
    assert digests() == first
    assert read == []
    changed = bytearray(ObjectStore(photos).get(paths[3]))
    changed[-1] ^= 1  # as long as before
    ObjectStore(photos).put(paths[3], bytes(changed))
    second = digests()
    assert read == [paths[3]]
    assert {path for path in paths if second[path] != first[path]} == {paths[3]}
    kept.write_bytes(b"damaged")
    read.clear()
    assert digests() == second
    assert len(read) == 120


def test_an_object_that_comes_meanwhile_is_an_unreadable_one(photos, tmp_path):
    folder = StoreFolder(photos)
    hashes = StoreHashes(tmp_path / "kept", folder)
    first = next(folder.entries()).path
    hashes.of(f"{folder}/{first}")
    with pytest.raises(OSError, match="it came while"):
        hashes.of(f"{folder}/china/new.jpg")


def test_an_empty_place_is_named(store_server, project):
    with pytest.raises(ConvlabError, match=r"there is nothing in s3://bucket.*/none. Expected"):
        features.run(["data=photos", f"data.dir={new_bucket(store_server)}/none", "data.name=none", *SMALL])
