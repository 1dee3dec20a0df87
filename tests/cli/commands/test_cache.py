"""`convlab cache`, of a folder and of an object store."""

import json

import pytest
from numbers_space import content, vectors
from object_server import new_bucket

from convlab.base.errors import ConvlabError
from convlab.cli.commands import cache
from convlab.features.cache import BottleneckCache
from convlab.features.shared.cache import SharedCache

IDENTITY = {"backbone": {"architecture": "resnet18"}}


def told(capsys, *words: str) -> list[list[str]]:
    """The words of each line."""
    assert cache.run([*words]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_folder(project, capsys):
    place = project / ".convlab" / "bottlenecks"
    assert told(capsys) == [[f"{place}:", "empty"]]
    with BottleneckCache(place, "small", IDENTITY) as space:
        space.add([content(i) for i in range(3)], vectors(range(3)))
    (shard,) = place.glob("*/*.safetensors")
    size = f"{shard.stat().st_size / 1e6:.1f}"
    lines = told(capsys)
    assert lines[:2] == [[f"{place}:"], ["space", "backbone", "vectors", "MB"]]
    assert lines[2] == [space.dir.name, "resnet18", "3", size]
    assert told(capsys, "collect") == [[f"{place}:", "nothing", "to", "collect"]]


def test_a_store(project, store_server, monkeypatch, capsys):
    address = f"{new_bucket(store_server)}/team"
    monkeypatch.setenv("CONVLAB_CACHE", address)
    assert told(capsys) == [[f"{address}:", "empty"]]
    with SharedCache(address, "small", IDENTITY) as space:
        space.add([content(i) for i in range(3)], vectors(range(3)))
    dead = SharedCache(address, "small", IDENTITY, commits=False)
    dead.add([content(9)], vectors([9]))
    dead.written()
    name = space.store.address.rsplit("/", 1)[1]
    assert told(capsys)[2][:3] == [name, "resnet18", "3"]
    assert told(capsys, "collect") == [[f"{name}:", "0", "objects", "removed,", "0.0", "MB"]]
    assert told(capsys, "collect", "--days", "0")[0][:2] == [f"{name}:", "2"]
    assert json.loads(space.store.get("space.json"))["backbone"] == IDENTITY["backbone"]
    assert space.known([content(i) for i in range(10)]) == {content(i) for i in range(3)}


def test_what_is_no_place_is_refused(project, monkeypatch):
    monkeypatch.setenv("CONVLAB_CACHE", "ftp://team/vectors")
    with pytest.raises(ConvlabError, match=r"ftp://team/vectors is no address .* s3://"):
        cache.run([])
    with pytest.raises(ConvlabError, match="--days -1: expected 0 or more"):
        cache.run(["collect", "--days", "-1"])
