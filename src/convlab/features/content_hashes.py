"""sha256 of files, without reading a file again that has not changed.

A file is remembered by device, inode, size, mtime and ctime, so a moved folder stays known. Whatever changes
its bytes sets ctime to the present, and no program can set it back. Two things could hide a change, and so
two kinds of file are read every time:

- Files that changed less than SETTLED_S before they were read. A change within the same tick of the clock
  shows the same ctime (https://git-scm.com/docs/racy-git). And a store through a shared memory map renews it
  only where the page was clean: after the first store not again before the kernel has written the page back,
  on Linux after dirty_expire_centisecs + dirty_writeback_centisecs, 35 seconds.
- Files on a file system that is not in KEEPS_CTIME, Linux's that stamp the first such store at once. Of
  others, FAT has no ctime, a network has another machine's, tmpfs stamps no store, ZFS stamps it late.

What stays out of reach: a disk that decays silently, a clock set back to the nanosecond, writes to the disk
past the file system. With `reread`, everything is read.
"""

import hashlib
import os
import struct
import time
from pathlib import Path

from convlab.base.files import atomic_file

SETTLED_S = 60.0
KEEPS_CTIME = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "xfs"}
STAT = struct.Struct("<QQqqq")
DIGEST_BYTES = 32
ROW_BYTES = STAT.size + DIGEST_BYTES


class ContentHashes:
    """sha256 of `prefix` followed by a file's bytes, remembered in the file `path` between runs.

    For one run over many files: asked for a second time in the same run, a file is read.

    `path` holds a checksum, which depends on `prefix`, and 72 bytes for each file. Damaged, cut off or made
    for another prefix, it counts as empty. It is safe to delete.

    Args:
        reread: begin with nothing remembered, so that every file is read.
    """

    def __init__(self, path: Path, prefix: bytes = b"", reread: bool = False) -> None:
        self.path = path
        self._start = hashlib.sha256(prefix)
        self._kept = {} if reread else self._load()
        self._rows = bytearray()  # of the files asked for
        self._any_new = False
        self._devices: dict[int, bool] = {}  # whether a device's file system keeps ctime

    def of(self, file: str | Path) -> str:
        """Hex digest. Raises OSError if the file can't be read."""
        stat = os.stat(file)  # noqa: PTH116  a Path for each of 100,000 files takes longer than this
        key = _key(stat)
        digest = self._kept.pop(key, None)
        if digest is None or not self._trusts(file, stat.st_dev):
            return self._read(file)
        self._rows += key + digest
        return digest.hex()

    def save(self) -> None:
        """Remember the files asked for since the start, and no others."""
        if self._kept or self._any_new:
            with atomic_file(self.path) as file:
                file.write(self._checksum(self._rows))
                file.write(self._rows)

    def _read(self, file: str | Path) -> str:
        with open(file, "rb") as opened:  # noqa: PTH123
            now = time.time_ns()
            stat = os.fstat(opened.fileno())
            digest = hashlib.file_digest(opened, self._start.copy)
        # If a settled file changes while or after it is read, so does its ctime: the entry then fits no file.
        settled = now - stat.st_ctime_ns > SETTLED_S * 1e9
        if settled and self._trusts(file, stat.st_dev):
            self._rows += _key(stat) + digest.digest()
            self._any_new = True
        return digest.hexdigest()

    def _trusts(self, file: str | Path, device: int) -> bool:
        if device not in self._devices:
            self._devices[device] = _file_system(file) in KEEPS_CTIME
        return self._devices[device]

    def _load(self) -> dict[bytes, bytes]:
        try:
            data = self.path.read_bytes()
        except OSError:
            return {}
        rows = memoryview(data)[DIGEST_BYTES:]
        if len(rows) % ROW_BYTES or data[:DIGEST_BYTES] != self._checksum(rows):
            return {}
        starts = range(DIGEST_BYTES, len(data), ROW_BYTES)
        return {data[i : i + STAT.size]: data[i + STAT.size : i + ROW_BYTES] for i in starts}

    def _checksum(self, rows: bytearray | memoryview) -> bytes:
        digest = hashlib.sha256(b"content hashes, format 1" + self._start.digest())
        digest.update(rows)
        return digest.digest()


def _key(stat: os.stat_result) -> bytes:
    return STAT.pack(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _file_system(file: str | Path) -> str:
    """The type of the file system that holds `file`, as the system names it; "" where it doesn't tell."""
    import psutil

    types = {partition.mountpoint: partition.fstype for partition in psutil.disk_partitions(all=True)}
    real = Path(file).resolve()
    return next((types[str(folder)] for folder in (real, *real.parents) if str(folder) in types), "")
