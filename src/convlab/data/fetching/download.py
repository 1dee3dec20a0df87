"""One URL -> one verified file, however often the connection or the program breaks in between.

What has arrived stays in `<folder>/<key>/<name>.part`. The key is a hash of the URL and of what is
expected there, so that a part is only ever continued by the file it is a part of. The next call asks
the server for the rest (HTTP Range), on condition that the file is still the same (If-Range, RFC 9110
section 13.1.5); a server that can't do either sends the whole file again.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import requests

from convlab.base.console import progress
from convlab.base.files import file_hash
from convlab.data.fetching.retries import Transient, Unavailable, request, retrying

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is fetched; None where nothing is."""

    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None

    def problem(self, path: Path) -> str | None:
        """`expected ..., found ...` for the first check that the file at `path` fails."""
        size = path.stat().st_size
        if self.bytes is not None and size != self.bytes:
            return f"expected {self.bytes:,} bytes, found {size:,}"
        for algorithm in ("md5", "sha256"):
            expected = getattr(self, algorithm)
            if expected is not None and (found := file_hash(path, algorithm)) != expected:
                return f"expected {algorithm} {expected}, found {found}"
        return None


def download(url: str, expected: Expected, folder: Path, name: str) -> Path:
    """The file at `url` as `<folder>/<key>/<name>`, complete and as `expected`.

    A file that is there already and passes is returned without asking the server.
    Raises Unavailable; a part that failed its checks is gone then, any other part is kept. Whoever may
    call this twice at a time for the same `folder` has to hold a lock.
    """
    key = hashlib.sha256(f"{url}\n{expected}".encode()).hexdigest()[:16]
    path = folder / key / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if expected.problem(path) is None:
            return path
        path.unlink()
    part = path.with_name(f"{name}.part")
    continued = part.exists()
    problem = _complete(url, part, expected)
    if problem and continued:  # perhaps it was the old part that was bad
        problem = _complete(url, part, expected)
    if problem:
        raise Unavailable(problem)
    part.rename(path)
    _validator(part).unlink(missing_ok=True)
    return path


def _complete(url: str, part: Path, expected: Expected) -> str | None:
    """Bring `part` to its full length; if it then fails a check, delete it and return the problem."""
    retrying(url, lambda: _attempt(url, part, expected), lambda: _size(part))
    problem = expected.problem(part)
    if problem:
        part.unlink()
    return problem


def _attempt(url: str, part: Path, expected: Expected) -> None:
    """Ask once for what `part` lacks, and append it."""
    start = _size(part)
    if start and start == expected.bytes:
        return
    headers = _range(part, start, expected)
    with request(url, headers) as response:
        found = response.headers.get("Content-Range", "")
        if response.status_code == 416 and found == f"bytes */{start}":
            return  # nothing is lacking
        if response.status_code == 200:
            start = _begin(part, response)
        elif not headers or not re.match(rf"bytes {start}-", found):
            part.unlink(missing_ok=True)
            raise Transient(f"asked for what follows byte {start:,}, got '{found}'", response)
        _append(response, part, start, expected.bytes)


def _append(response: requests.Response, part: Path, start: int, expected_bytes: int | None) -> None:
    remaining = response.raw.length_remaining
    total = None if remaining is None else start + remaining
    if total is not None and expected_bytes is not None and total != expected_bytes:
        part.unlink(missing_ok=True)
        raise Unavailable(f"expected {expected_bytes:,} bytes, the server has {total:,}")
    with (
        part.open("ab", buffering=0) as file,
        progress(part.stem, total or expected_bytes or 0, unit="bytes", start=start) as advance,
    ):
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            file.write(chunk)
            advance(len(chunk))
    if total is not None and _size(part) != total:
        raise Transient(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _range(part: Path, start: int, expected: Expected) -> dict[str, str]:
    """The headers that ask for what follows the first `start` bytes, if a mix-up would be noticed."""
    validator = _validator(part).read_text() if _validator(part).exists() else ""
    if start and validator:
        return {"Range": f"bytes={start}-", "If-Range": validator}
    if start and (expected.md5 or expected.sha256):
        return {"Range": f"bytes={start}-"}
    return {}


def _begin(part: Path, response: requests.Response) -> int:
    """Drop `part` and note what identifies this version of the file; returns the new size, 0."""
    part.unlink(missing_ok=True)
    etag = response.headers.get("ETag", "")
    strong = "" if etag.startswith("W/") else etag
    _validator(part).write_text(strong or response.headers.get("Last-Modified", ""))
    return 0


def _validator(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
