"""A file is read again wherever its bytes could have changed, and only there."""

import hashlib
import mmap
import os
import subprocess
import time
from pathlib import Path

import pytest

from convlab.features import content_hashes as module
from convlab.features.content_hashes import ContentHashes

TICK_S = 0.02  # more than one tick of the clock that the kernel stamps files with


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def read(tmp_path, monkeypatch) -> list[str]:
    """The names of the files that are read, as they are; on a file system that counts as trusted."""
    monkeypatch.setattr(module, "KEEPS_CTIME", {module._file_system(tmp_path)})
    names: list[str] = []
    real = ContentHashes._read

    def reading(self: ContentHashes, file: Path) -> str:
        names.append(Path(file).name)
        return real(self, file)

    monkeypatch.setattr(ContentHashes, "_read", reading)
    return names


@pytest.fixture
def settled(monkeypatch) -> None:
    """A file counts as old at once."""
    monkeypatch.setattr(module, "SETTLED_S", -1.0)


@pytest.fixture
def files(tmp_path) -> list[Path]:
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.jpg").write_bytes(bytes([i]) * 100)
    return [folder / f"{i}.jpg" for i in range(3)]


def ask(tmp_path: Path, files: list[Path], **settings) -> list[str]:
    """What one run does: every file is asked for, then all is saved."""
    hashes = ContentHashes(tmp_path / "memo", **settings)
    found = [hashes.of(file) for file in files]
    hashes.save()
    return found


@pytest.mark.usefixtures("settled")
def test_unchanged_files_are_read_once(tmp_path, files, read):
    assert ask(tmp_path, files) == [sha256(file) for file in files]
    assert read == ["0.jpg", "1.jpg", "2.jpg"]
    before = (tmp_path / "memo").stat()
    assert ask(tmp_path, files) == [sha256(file) for file in files]
    assert len(read) == 3
    after = (tmp_path / "memo").stat()  # nothing new, nothing written; only read
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    ask(tmp_path, files, reread=True)
    assert len(read) == 6


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("position", [0, 50, 99])
def test_a_changed_byte_is_found_though_size_and_mtime_are_put_back(tmp_path, files, read, position):
    ask(tmp_path, files)
    before = files[1].stat()
    time.sleep(TICK_S)
    with files[1].open("r+b") as file:
        file.seek(position)
        file.write(b"\xff")
    os.utime(files[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = files[1].stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (100, before.st_mtime_ns, before.st_ino)
    assert ask(tmp_path, files)[1] == sha256(files[1]) != hashlib.sha256(bytes([1]) * 100).hexdigest()
    assert read[3:] == ["1.jpg"]


@pytest.mark.usefixtures("settled")
def test_another_file_of_the_same_size_and_age_is_found(tmp_path, files, read):
    ask(tmp_path, files)
    before = files[0].stat()
    other = files[0].with_name("other")
    other.write_bytes(b"x" * 100)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(files[0])
    assert ask(tmp_path, files)[0] == sha256(files[0]) == hashlib.sha256(b"x" * 100).hexdigest()
    assert read[3:] == ["0.jpg"]


@pytest.mark.usefixtures("settled")
def test_a_moved_folder_stays_known_and_exchanged_names_do_not_mislead(tmp_path, files, read):
    ask(tmp_path, files)
    moved = files[0].parent.rename(tmp_path / "moved")
    first, second, third = (moved / file.name for file in files)
    ask(tmp_path, [first, second, third])
    assert len(read) == 3
    first.rename(moved / "aside")
    second.rename(first)
    (moved / "aside").rename(second)
    assert ask(tmp_path, [first, second]) == [sha256(first), sha256(second)]
    assert sha256(first) == hashlib.sha256(bytes([1]) * 100).hexdigest()


def test_only_what_was_old_when_it_was_read_is_remembered(tmp_path, files, read, monkeypatch):
    """The rule is a minute: at 59 s a file is read again, at 61 s it is remembered."""
    changed = files[0].stat().st_ctime_ns
    for age, times_read in [(0, 1), (59, 2), (61, 3), (62, 3), (0, 3)]:
        monkeypatch.setattr(module.time, "time_ns", lambda age=age: changed + age * 10**9)
        ask(tmp_path, files[:1])
        assert len(read) == times_read


def test_a_file_from_the_future_is_read_every_time(tmp_path, files, read, monkeypatch):
    """A clock that was set back since: the next change could show this very time."""
    monkeypatch.setattr(module.time, "time_ns", lambda: files[0].stat().st_ctime_ns - 10**12)
    ask(tmp_path, files[:1])
    ask(tmp_path, files[:1])
    assert len(read) == 2


@pytest.mark.usefixtures("read")
def test_stores_through_a_memory_map_are_found(tmp_path, files):
    """The second store finds its page written to already, so the kernel stamps no new time on the file."""
    with files[0].open("r+b") as file, mmap.mmap(file.fileno(), 100) as memory:
        for value in range(5):
            memory[7] = value
            assert ask(tmp_path, files)[0] == sha256(files[0])


@pytest.mark.usefixtures("read")
def test_changes_in_quick_succession_are_found(tmp_path, files):
    before = files[0].stat()
    for value in range(100):
        files[0].write_bytes(bytes([value]) * 100)
        os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
        assert ask(tmp_path, files[:1]) == [sha256(files[0])]


@pytest.mark.usefixtures("settled")
def test_any_damage_to_what_is_remembered_costs_time_alone(tmp_path, files, read):
    expected = ask(tmp_path, files)
    memo = tmp_path / "memo"
    whole = memo.read_bytes()
    assert len(whole) == 32 + 3 * 72
    flipped = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    cut = [whole[:length] for length in (0, 10, 32, 32 + 72, len(whole) - 1)]
    swapped = whole[: 32 + 40] + whole[32 + 72 + 40 : 32 + 144] + whole[32 + 72 :]
    for damaged in [*flipped, *cut, swapped, whole + whole[32:], b"\x93NUMPY" * 50]:
        read.clear()
        memo.write_bytes(damaged)
        assert ask(tmp_path, files) == expected
        assert len(read) == 3
        assert memo.read_bytes() == whole


@pytest.mark.usefixtures("settled")
def test_what_is_remembered_holds_for_its_prefix(tmp_path, files, read):
    ask(tmp_path, files)
    expected = [hashlib.sha256(b"space" + file.read_bytes()).hexdigest() for file in files]
    assert ask(tmp_path, files, prefix=b"space") == expected
    assert ask(tmp_path, files, prefix=b"space") == expected
    assert len(read) == 6


@pytest.mark.usefixtures("settled", "read")
def test_files_that_are_gone_are_forgotten(tmp_path, files):
    ask(tmp_path, files)
    files[0].unlink()
    with pytest.raises(FileNotFoundError):
        ask(tmp_path, files)
    ask(tmp_path, files[1:])
    assert (tmp_path / "memo").stat().st_size == 32 + 2 * 72


@pytest.mark.usefixtures("settled")
def test_on_a_file_system_without_a_reliable_ctime_everything_is_read(tmp_path, files, read, monkeypatch):
    ask(tmp_path, files)
    monkeypatch.setattr(module, "KEEPS_CTIME", {"vfat"})  # what was remembered there holds no more
    assert ask(tmp_path, files) == ask(tmp_path, files) == [sha256(file) for file in files]
    assert len(read) == 9


def test_the_file_system_is_the_one_that_df_names(tmp_path):
    for path in (tmp_path, Path("/"), Path("/proc/self/status"), Path("/dev/shm")):
        done = subprocess.run(["df", "--output=fstype", path], capture_output=True, text=True)
        if done.returncode == 0:
            assert module._file_system(path) == done.stdout.split()[1]
