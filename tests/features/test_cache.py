"""The cache must never give a wrong vector, whatever happened to its files or its processes."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from numbers_space import DIM, IDENTITY, content, fill, open_space, vectors

from convlab.base.errors import ConvlabError
from convlab.features import cache as module
from convlab.features import content_hashes
from convlab.features.content_hashes import ContentHashes

SPACES = Path(__file__).parents[1] / "support" / "numbers_space.py"
ROWS = 10  # in a full shard


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", ROWS * DIM * 4)
    monkeypatch.setattr(module, "FLUSH_EVERY_S", 1000.0)


def exported(cache, numbers) -> np.ndarray:
    file = io.BytesIO()
    cache.export([content(i) for i in numbers], file)
    file.seek(0)
    return np.load(file, allow_pickle=False)


def store(root: Path, numbers) -> None:
    with open_space(root) as cache:
        cache.add([content(i) for i in numbers], vectors(numbers))


def shards(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.safetensors"), key=lambda path: -path.stat().st_size)


def assert_holds(root: Path, numbers) -> None:
    """These and no others, each under its own key, each once, with nothing half-written beside them."""
    numbers = list(numbers)
    with open_space(root) as cache:
        assert cache.damaged == []
        assert len(cache) == len(numbers)
        assert all(content(i) in cache for i in numbers)
        if numbers:
            assert np.array_equal(exported(cache, numbers), vectors(numbers))
    stored = [key.tobytes() for path in shards(root) for key in safetensors.numpy.load_file(path)["keys"]]
    assert len(stored) == len(set(stored)) == len(numbers)
    assert not list(root.glob("*/.*"))


def test_vectors_come_back_in_the_order_asked_for(tmp_path):
    with open_space(tmp_path) as cache:
        assert content(0) not in cache
        cache.add([content(i) for i in range(25)], vectors(range(25)))
        assert content(24) in cache
    with open_space(tmp_path) as cache:
        order = [24, 0, 7, 7, 13]
        found = exported(cache, order)
    assert found.dtype == np.float32
    assert np.array_equal(found, vectors(order))
    assert_holds(tmp_path, range(25))


def test_many_small_additions_leave_full_shards_and_one_more(tmp_path):
    for i in range(34):
        with open_space(tmp_path) as cache:
            cache.add([content(i)], vectors([i]))
    rows = [len(safetensors.numpy.load_file(path)["keys"]) for path in shards(tmp_path)]
    assert rows == [10, 10, 10, 4]
    assert_holds(tmp_path, range(34))


def test_one_large_addition_is_cut_into_shards(tmp_path):
    with open_space(tmp_path) as cache:
        cache.add([content(i) for i in range(25)], vectors(range(25)))
        assert len(shards(tmp_path)) == 3  # a full shard's worth doesn't wait for the clock
    assert_holds(tmp_path, range(25))


def test_a_known_image_keeps_its_vector(tmp_path):
    with open_space(tmp_path) as cache:
        cache.add([content(1), content(1)], vectors([1, 2]))
        cache.add([content(1), content(3)], vectors([4, 3]))
        cache.flush()
        cache.add([content(1)], vectors([5]))
    assert_holds(tmp_path, [1, 3])


def test_what_was_added_before_an_error_is_kept(tmp_path):
    def interrupted():
        with open_space(tmp_path) as cache:
            cache.add([content(1)], vectors([1]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert_holds(tmp_path, [1])


def test_the_clock_brings_vectors_to_the_disk(tmp_path, monkeypatch):
    with open_space(tmp_path) as cache:
        cache.add([content(1)], vectors([1]))
        assert shards(tmp_path) == []
        monkeypatch.setattr(module, "FLUSH_EVERY_S", -1.0)
        cache.add([content(2)], vectors([2]))
        assert len(safetensors.numpy.load_file(shards(tmp_path)[0])["keys"]) == 2


def test_another_identity_is_another_space(tmp_path):
    store(tmp_path, range(3))
    for change in ({"backbone": "others"}, {"preprocessing": "crop"}, {"weights": "new"}):
        with open_space(tmp_path, **change) as cache:
            assert len(cache) == 0
    described = [json.loads(path.read_text())["backbone"] for path in tmp_path.glob("*/space.json")]
    assert sorted(described) == ["numbers", "numbers", "numbers", "others"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    wrong = vectors([1, 2])
    wrong[1, 3] = value
    with pytest.raises(ConvlabError, match="not finite"), open_space(tmp_path) as cache:
        cache.add([content(1), content(2)], wrong)
    assert_holds(tmp_path, [])


def test_vectors_of_another_kind_are_refused(tmp_path):
    with open_space(tmp_path) as cache:
        cache.add([content(1)], vectors([1]))
        with pytest.raises(ValueError, match="float32 1 d, got float64"):
            cache.add([content(2)], vectors([2]).astype(np.float64))
        with pytest.raises(ValueError, match="holds 8 numbers an image, got 4"):
            cache.add([content(2)], vectors([2])[:, :4])


def places(path: Path) -> dict[str, int]:
    """Offsets in a shard's file: 8 bytes of length, a JSON header, then the tensors."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    offsets = {name: entry["data_offsets"][0] for name, entry in json.loads(data[8:start]).items()}
    return {
        "length": 0,
        "header": 8 + 20,
        "first key": start + offsets["keys"] + 5,
        "first vector": start + offsets["vectors"] + 2,
        "last byte": len(data) - 1,
    }


@pytest.mark.parametrize("bit", [0, 7])
@pytest.mark.parametrize("place", ["length", "header", "first key", "first vector", "last byte"])
def test_a_flipped_bit_costs_its_shard_and_nothing_else(tmp_path, capsys, place, bit):
    store(tmp_path, range(20))
    victim = shards(tmp_path)[1]
    lost = {key.tobytes().hex() for key in safetensors.numpy.load_file(victim)["keys"]}
    data = bytearray(victim.read_bytes())
    data[places(victim)[place]] ^= 1 << bit
    victim.write_bytes(data)
    with open_space(tmp_path) as cache:
        assert cache.damaged == [victim.name]
        assert {i for i in range(20) if content(i) not in cache} == {
            i for i in range(20) if content(i) in lost
        }
    message = capsys.readouterr().out
    assert "damaged shards" in message
    assert victim.name in message
    assert len(fill(tmp_path, range(20))) == len(lost) == 10
    assert_holds(tmp_path, range(20))


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_truncated_shard_is_found(tmp_path, length):
    store(tmp_path, range(20))
    victim = shards(tmp_path)[0]
    victim.write_bytes(victim.read_bytes()[:length])
    assert len(fill(tmp_path, range(20))) == 10
    assert_holds(tmp_path, range(20))


def test_a_shard_of_another_space_is_not_believed(tmp_path):
    store(tmp_path, range(3))
    with open_space(tmp_path, weights="new") as cache:
        shutil.copy(shards(tmp_path)[0], cache.dir)
    with open_space(tmp_path, weights="new") as cache:
        assert len(cache.damaged) == 1
        assert len(cache) == 0


def test_damage_after_opening_is_found_before_a_vector_is_used(tmp_path):
    store(tmp_path, range(5))
    with open_space(tmp_path) as cache:
        victim = shards(tmp_path)[0]
        data = bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(data)
        with pytest.raises(ConvlabError, match=f"{victim.name} was damaged while in use"):
            exported(cache, [1])


@pytest.fixture
def settled(tmp_path, monkeypatch) -> None:
    """Files count as old at once, on a file system that counts as trusted."""
    monkeypatch.setattr(content_hashes, "SETTLED_S", -1.0)
    monkeypatch.setattr(content_hashes, "KEEPS_CTIME", {content_hashes._file_system(tmp_path)})


@pytest.mark.usefixtures("settled")
def test_opening_reads_no_shard_that_was_found_whole_before(tmp_path, monkeypatch):
    store(tmp_path, range(25))
    read: list[str] = []
    real = ContentHashes._read
    monkeypatch.setattr(ContentHashes, "_read", lambda self, file: read.append(file) or real(self, file))
    for _ in range(3):
        assert_holds(tmp_path, range(25))
    assert sorted(read) == sorted(shards(tmp_path))  # each once
    store(tmp_path, range(25, 29))  # goes into another, larger shard
    with open_space(tmp_path):
        assert len(read) == 4
    with module.BottleneckCache(tmp_path, "numbers", IDENTITY, reread=True) as cache:
        assert len(cache) == 29
        assert len(read) == 7


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("place", ["length", "header", "first key", "first vector", "last byte"])
def test_damage_is_found_at_the_next_opening_though_mtime_is_put_back(tmp_path, place):
    store(tmp_path, range(20))
    assert_holds(tmp_path, range(20))
    victim = shards(tmp_path)[0]
    before = victim.stat()
    time.sleep(0.02)  # the clock that files are stamped with ticks
    data = bytearray(victim.read_bytes())
    data[places(victim)[place]] ^= 1
    victim.write_bytes(data)
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    with open_space(tmp_path) as cache:
        assert cache.damaged == [victim.name]
    assert len(fill(tmp_path, range(20))) == 10
    assert_holds(tmp_path, range(20))


@pytest.mark.usefixtures("settled")
def test_a_space_under_another_ones_name_is_not_believed(tmp_path):
    store(tmp_path, range(3))
    assert_holds(tmp_path, range(3))
    (own,) = tmp_path.iterdir()
    other = open_space(tmp_path, weights="new")
    own.rename(other.dir)
    with other as cache:
        assert len(cache.damaged) == 1
        assert len(cache) == 0


@pytest.fixture
def decayed(tmp_path, monkeypatch) -> Path:
    """Images 0 to 14; one bit of the second shard turns, and nothing that `stat` tells shows it."""
    store(tmp_path, range(15))
    victim = shards(tmp_path)[1]
    data = bytearray(victim.read_bytes())
    data[places(victim)["first vector"]] ^= 1
    victim.write_bytes(data)
    monkeypatch.setattr(ContentHashes, "of", lambda _, file: Path(file).stem)  # "it is what it was"
    return victim


def test_silent_decay_is_found_before_a_vector_is_used_and_the_next_run_repairs_it(tmp_path, decayed):
    with open_space(tmp_path) as cache:
        assert len(cache) == 15
        assert np.array_equal(exported(cache, range(10)), vectors(range(10)))
        with pytest.raises(ConvlabError, match=f"{decayed.name} was damaged while in use"):
            exported(cache, range(15))
        assert [i for i in range(15) if content(i) not in cache] == list(range(10, 15))
    assert fill(tmp_path, range(15)) == list(range(10, 15))
    assert_holds(tmp_path, range(15))


def test_silent_decay_of_what_opening_reads_is_found_there(tmp_path, decayed):
    data = bytearray(decayed.read_bytes())
    data[places(decayed)["header"]] ^= 0x80
    decayed.write_bytes(data)
    with open_space(tmp_path) as cache:
        assert cache.damaged == [decayed.name]
        assert len(cache) == 10


def test_silent_decay_of_the_shard_that_would_grow_costs_nothing_new(tmp_path, decayed):
    with (
        pytest.raises(ConvlabError, match=f"{decayed.name} was damaged while in use"),
        open_space(tmp_path) as cache,
    ):
        cache.add([content(20)], vectors([20]))
    assert_holds(tmp_path, [*range(10), 20])


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("open", 9),  # before a shard's file exists
        ("replace", 7),  # written under another name, not yet renamed
        ("unlink", 4),  # the larger shard is there, the one it contains still too
        ("unlink", 11),
        ("replace", 15),  # a shard has become full
    ],
)
def test_kill_9_between_any_two_steps_loses_at_most_the_last_addition(tmp_path, call, number):
    process = subprocess.run(
        [sys.executable, SPACES, tmp_path, "0", "30", call, str(number)], capture_output=True, text=True
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    missing = fill(tmp_path, range(30))
    assert 0 < len(missing) < 30
    assert missing == list(range(missing[0], 30))  # all that came before is there
    assert_holds(tmp_path, range(30))


def test_processes_at_once_lose_nothing_and_compute_nothing_twice(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, SPACES, tmp_path, str(first), str(last)], stdout=subprocess.PIPE, text=True
        )
        for first, last in [(0, 60), (30, 90), (20, 70)]
    ]
    added = []
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        added += [int(i) for i in output.splitlines()[-1].split(",") if i]
    assert sorted(added) == list(range(90))
    assert_holds(tmp_path, range(90))


def test_a_second_user_waits_and_is_told(tmp_path):
    with open_space(tmp_path) as cache:
        process = subprocess.Popen(
            [sys.executable, SPACES, tmp_path, "0", "3"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert "waiting for it" in process.stdout.readline()
        cache.add([content(i) for i in range(3)], vectors(range(3)))
    output, _ = process.communicate(timeout=60)
    assert output.strip() == ""  # nothing was left to add
    assert_holds(tmp_path, range(3))


def test_a_cache_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConvlabError, match=r"cannot create the cache .*CONVLAB_STATE"):
        open_space(tmp_path / "file").__enter__()
