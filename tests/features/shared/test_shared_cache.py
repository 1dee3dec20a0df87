"""The cache in an object store must never give a wrong vector, whoever writes and dies beside it."""

import io
import random
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numbers_space import DIM, IDENTITY, content, vectors
from object_server import new_bucket

from convlab.base.errors import ConvlabError
from convlab.base.object_store import ObjectStore
from convlab.features.shared import cache as module
from convlab.features.shared import index, manifest
from convlab.features.shared.cache import SharedCache
from convlab.features.shared.collection import collect

WRITER = Path(__file__).parents[2] / "support" / "shared_space.py"
ROWS = 10  # in a full shard


@pytest.fixture
def bucket(store_server, monkeypatch) -> str:
    """An empty one, for a space of small shards, short tails and small parts."""
    monkeypatch.setattr(module, "SHARD_BYTES", ROWS * DIM * 4)
    monkeypatch.setattr(module, "LONGEST_TAIL", 4)
    monkeypatch.setattr(index, "PART_ROWS", 16)
    monkeypatch.setattr(index, "MOST_FILES", 2)
    monkeypatch.setattr(index, "ROWS_FOLDED", 2)
    return new_bucket(store_server)


def space(bucket: str, **settings) -> SharedCache:
    return SharedCache(f"{bucket}/vectors", "numbers", IDENTITY, **settings)


def store(bucket: str, numbers) -> None:
    with space(bucket) as cache:
        cache.add([content(i) for i in numbers], vectors(numbers))


def exported(cache, numbers) -> np.ndarray:
    file = io.BytesIO()
    cache.export([content(i) for i in numbers], file)
    return np.load(io.BytesIO(file.getvalue()), allow_pickle=False)


def assert_holds(bucket: str, numbers) -> None:
    numbers = list(numbers)
    with space(bucket) as cache:
        assert cache.known([content(i) for i in range(500)]) == {content(i) for i in numbers}
        if numbers:
            assert np.array_equal(exported(cache, numbers), vectors(numbers))
        assert cache.damaged == []


def objects(bucket: str, folder: str) -> list[str]:
    return [entry.path for entry in space(bucket).store.entries(folder)]


def test_vectors_come_back_in_the_order_asked_for(bucket):
    assert_holds(bucket, [])
    store(bucket, range(25))
    with space(bucket) as cache:
        assert cache.known([content(3), content(99)]) == {content(3)}
        assert np.array_equal(exported(cache, [24, 0, 7, 7, 13]), vectors([24, 0, 7, 7, 13]))
    assert_holds(bucket, range(25))


def test_what_was_seen_in_an_image_comes_back_with_it(bucket):
    with space(bucket) as cache:
        looks = {content(1): b"y" * 16, content(2): b"z" * 16}
        cache.add([content(1), content(2)], vectors([1, 2]), looks, {content(2): "12-bit"})
    store(bucket, [3])
    for _ in range(2):  # from the shard's table, then from a new index
        doubts, found = space(bucket).notes([content(i) for i in range(9)])
        assert doubts == {content(2): "12-bit"}
        assert found == {**looks, content(3): bytes(16)}
        space(bucket).store.delete(["manifest.json"])
        with space(bucket):
            pass


def test_many_small_additions_end_in_few_shards_and_an_index_by_prefix(bucket):
    for i in range(60):
        store(bucket, [i])
    present = manifest.read(space(bucket).store)
    assert present is not None
    assert len(present.tail) <= 4
    assert present.bits == 2  # 60 rows, of which 16 to a part
    assert all(len(part) <= 3 for part in present.partitions)
    named = {shard for name in present.tables() for shard in space(bucket)._index.table(name).shards}
    assert len(named) <= 60 / 5 + 4  # five at least to a shard once folded
    assert_holds(bucket, range(60))


def test_a_part_of_the_index_is_read_for_a_key_and_no_other(bucket):
    store(bucket, range(100))
    with space(bucket) as cache:
        cache.fold()
    assert len(manifest.read(space(bucket).store).partitions) == 8
    cache = space(bucket)
    assert cache.known([content(5)]) == {content(5)}
    assert sum(map(len, cache._index._kept.values())) < 30


def test_a_tail_that_is_small_for_many_prefixes_becomes_one_table(bucket, monkeypatch):
    store(bucket, range(60))
    with space(bucket) as cache:
        cache.fold()
    partitions = manifest.read(space(bucket).store).partitions
    assert len(partitions) == 4
    for i in range(60, 65):  # 5 rows, and 2 for each of 4 prefixes would be 8
        store(bucket, [i])
    present = manifest.read(space(bucket).store)
    assert (present.partitions, len(present.tail)) == (partitions, 1)
    assert_holds(bucket, range(65))


def test_eight_writers_at_once_lose_nothing(bucket):
    def write(start: int) -> None:
        for i in range(start, start + 8, 2):
            store(bucket, [i, i + 1, i + 2])

    threads = [threading.Thread(target=write, args=(8 * k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_holds(bucket, range(65))


def test_what_an_actor_wrote_is_read_once_it_is_committed(bucket):
    assert_holds(bucket, [])
    actor = space(bucket, commits=False)
    actor.add([content(i) for i in range(12)], vectors(range(12)))
    actor.flush()  # as `extract` does at its end
    assert_holds(bucket, [])
    written = actor.written()
    assert len(written) == 1
    assert_holds(bucket, [])
    with space(bucket) as driver:
        driver.commit(written)
        driver.commit(written)  # told twice, as by a block that was begun again
    assert len(manifest.read(space(bucket).store).tail) == 1
    assert_holds(bucket, range(12))


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_shard_is_named_and_computed_again(bucket, damage):
    store(bucket, range(5))
    store(bucket, range(5, 10))
    place = ObjectStore(f"{bucket}/vectors/{space(bucket).store.address.rsplit('/', 1)[1]}")
    victim = objects(bucket, "shards/")[0]
    data = bytearray(place.get(victim))
    data[-3] ^= 1
    if damage == "gone":
        place.delete([victim])
    else:
        place.put(victim, bytes(data if damage == "flipped" else data[:-7]))
    with pytest.raises(ConvlabError, match="computed again"), space(bucket) as cache:
        exported(cache, range(10))
    left = space(bucket).known([content(i) for i in range(10)])
    assert left in ({content(i) for i in range(5)}, {content(i) for i in range(5, 10)})
    store(bucket, range(10))  # gives the lost shard's rows among others
    assert_holds(bucket, range(10))


def test_the_same_shard_written_again_is_no_longer_lost(bucket):
    store(bucket, range(5))
    space(bucket).store.delete(objects(bucket, "shards/"))
    with pytest.raises(ConvlabError, match="is gone"):
        exported(space(bucket), range(5))
    assert_holds(bucket, [])
    store(bucket, range(5))
    assert manifest.read(space(bucket).store).lost == ()
    assert_holds(bucket, range(5))


def test_a_flipped_bit_in_the_index_gives_no_wrong_vector(bucket):
    store(bucket, range(5))
    victim = objects(bucket, "index/")[0]
    data = bytearray(space(bucket).store.get(victim))
    data[len(data) // 2] ^= 1
    space(bucket).store.put(victim, bytes(data))
    with pytest.raises(ConvlabError, match=r"is damaged. Delete .*manifest.json"):
        space(bucket).known([content(1)])
    space(bucket).store.delete(["manifest.json"])
    assert_holds(bucket, range(5))


@pytest.mark.parametrize("text", [b"", b"{}", b'{"format": 1}', b"[1]", b"\xff"])
def test_a_damaged_manifest_is_named(bucket, text):
    store(bucket, range(5))
    space(bucket).store.put("manifest.json", text)
    with pytest.raises(ConvlabError, match=r"manifest.json is damaged. Delete it"):
        space(bucket).known([content(1)])


def test_what_dead_writers_left_is_collected_and_nothing_else(bucket):
    store(bucket, range(30))
    dead = space(bucket, commits=False)
    dead.add([content(100)], vectors([100]))
    dead.written()
    assert collect(space(bucket).store) == []  # younger than a day
    gone = collect(space(bucket).store, timedelta(0))
    assert len([entry for entry in gone if entry.path.startswith("shards/")]) == 1
    assert_holds(bucket, range(30))
    assert collect(space(bucket).store, timedelta(0)) == []


def test_nothing_is_collected_where_there_is_no_manifest(bucket):
    store(bucket, range(30))
    space(bucket).store.delete(["manifest.json"])
    assert collect(space(bucket).store, timedelta(0)) == []
    assert_holds(bucket, range(30))


def test_a_reader_whose_index_was_folded_and_collected_reads_the_manifest_again(bucket, monkeypatch):
    store(bucket, range(30))
    old = manifest.read(space(bucket).store)
    for i in range(30, 50):
        store(bucket, [i])
    collect(space(bucket).store, timedelta(0))
    real, given = manifest.read, [old]
    monkeypatch.setattr(manifest, "read", lambda place: given.pop() if given else real(place))
    assert space(bucket).known([content(0), content(40)]) == {content(0), content(40)}
    assert given == []


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_writer_killed_anywhere_costs_what_it_had_not_committed(bucket, store_server, kills):
    """Between shard and table, table and manifest, or while the tail is folded."""
    random.seed(5)
    for attempt in range(kills):
        writer = subprocess.Popen(
            [sys.executable, str(WRITER), bucket, str(10 * attempt), str(random.randrange(1, 12))],
            stdout=subprocess.PIPE,
            text=True,
        )
        said, _ = writer.communicate(timeout=60)
        assert writer.returncode in (0, -signal.SIGKILL)
        committed = {content(int(word)) for word in said.split()}
        with space(bucket) as cache:
            there = cache.known([content(i) for i in range(10 * attempt, 10 * attempt + 10)])
            assert committed <= there
            numbers = [i for i in range(10 * attempt, 10 * attempt + 10) if content(i) in there]
            if numbers:
                assert np.array_equal(exported(cache, numbers), vectors(numbers))
        store(bucket, range(10 * attempt, 10 * attempt + 10))
    assert_holds(bucket, range(10 * kills))
    collect(space(bucket).store, timedelta(0))
    assert_holds(bucket, range(10 * kills))


def test_errors_name_the_address_and_no_secret(store_server, monkeypatch):
    with pytest.raises(ConvlabError, match="s3://nowhere/vectors/numbers-") as caught:
        space("s3://nowhere").__enter__()
    assert "a-secret-of-the-store" not in str(caught.value)
