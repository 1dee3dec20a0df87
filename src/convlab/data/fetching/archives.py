"""Unpack an archive from the network: nothing lands outside its folder, and nothing is endless."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from convlab.base.console import progress
from convlab.base.errors import ConvlabError

# Photos hardly shrink; an archive that unpacks to more than this many times its size is a trap.
MAX_EXPANSION = 20
MAX_EXPANSION_FROM_BYTES = 1 << 22
MEMBER_OVERHEAD_BYTES = 4096  # what a member costs on disk at least, so that empty ones count too
CHUNK_BYTES = 1 << 20


def unpack(archive: Path, top: str, folder: Path, name: str) -> None:
    """Put the content of `archive`'s folder `top` into `folder`, which exists. `name` is for messages.

    Only files and folders below `top` are accepted. Raises ConvlabError for a path that leads elsewhere,
    a link or device, an archive that is damaged or cut short (its checksum at the very end is read too),
    or one that grows beyond MAX_EXPANSION times its size. What was unpacked until then stays in `folder`.
    """
    compressed_bytes = archive.stat().st_size
    limit = MAX_EXPANSION * max(compressed_bytes, MAX_EXPANSION_FROM_BYTES)
    total = position = 0
    with (
        archive.open("rb") as file,
        gzip.open(file) as stream,
        progress(f"unpack {name}", compressed_bytes, unit="bytes") as advance,
    ):
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    total += max(member.size, MEMBER_OVERHEAD_BYTES)
                    if total > limit:
                        raise ConvlabError(
                            f"{name}: expected at most {limit:,} bytes unpacked ({MAX_EXPANSION} times its "
                            f"size), found more at '{member.name}'. It is not the archive it should be."
                        )
                    _extract(tar, member, top, folder, name)
                    advance(file.tell() - position)
                    position = file.tell()
            while total <= limit and (rest := stream.read(CHUNK_BYTES)):
                total += len(rest)
        except (tarfile.ReadError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ConvlabError(
                f"{name}: expected a complete .tgz archive, found it damaged or cut short "
                f"({error}) after {compressed_bytes:,} bytes."
            ) from None


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, top: str, folder: Path, name: str) -> None:
    path = PurePosixPath(member.name)
    if not (member.isfile() or member.isdir()):
        raise ConvlabError(f"{name}: expected files and folders only, found the link or device '{path}'.")
    if path.parts[:1] != (top,) or ".." in path.parts:
        raise ConvlabError(f"{name}: expected everything in '{top}/', found '{path}', which leads elsewhere.")
    if len(path.parts) == 1:
        return
    inside = folder.joinpath(*path.parts[1:])
    content = tar.extractfile(member)  # None of a folder
    (inside.parent if content else inside).mkdir(parents=True, exist_ok=True)
    if content:
        # not by `TarFile.extract`: neither mode nor owner counts, and its filters are missing before 3.11.4
        with content, inside.open("wb") as file:
            shutil.copyfileobj(content, file, CHUNK_BYTES)
