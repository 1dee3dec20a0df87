"""Where photos to predict come from: files, folders, globs, addresses, standard input."""

import glob
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from convlab.data import photo_files
from convlab.data.image_file import UnreadableImage

MAX_BYTES = 50 * 1024**2  # of a photo on the web
CONNECT_S, SILENCE_S, TOTAL_S = 5, 10, 30  # to wait for a server: its first word, its next, its last


@dataclass(frozen=True)
class PhotoSource:
    """name: what the user knows it by. read: a file, or its bytes; raises UnreadableImage with the name."""

    name: str
    read: Callable[[], Path | bytes]


def find(words: Iterable[str], tell: Callable[[str], None] = lambda _: None) -> list[PhotoSource]:
    """What the words of a command line mean, in their order; nothing is read as yet.

    A folder means the photos below it, by their suffix, sorted, hidden ones left out. A pattern that the
    shell did not expand means the files and folders that match, sorted; `**` any depth. `-` is standard
    input.

    Args:
        tell: is told of the files in folders that are no photos by their names.
    """
    return [source for word in words for source in _sources(word, tell)]


def _sources(word: str, tell: Callable[[str], None]) -> Iterator[PhotoSource]:
    path = Path(word)
    if word == "-":
        yield PhotoSource("standard input", lambda: sys.stdin.buffer.read())
    elif re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", word):
        yield PhotoSource(word, partial(download, word))
    elif path.is_dir():
        files = [file for file in photo_files.walk(path) if not file.endswith("/")]
        photos = sorted(path / file for file in files if photo_files.is_photo(file))
        others = [photo_files.suffix(file) for file in files if not photo_files.is_photo(file)]
        if others and photos:
            tell(f"{word}: left out, not of a known image type: {photo_files.left_out(others)}")
        found = [PhotoSource(str(photo), lambda photo=photo: photo) for photo in photos]  # type: ignore[misc]
        kinds = photo_files.left_out(others) or "it is empty"
        yield from found or [_missing(word, f"no photo in this folder: {kinds}")]
    elif path.exists():
        yield PhotoSource(word, lambda: path)
    elif matches := sorted(glob.glob(word, recursive=True)):  # noqa: PTH207  as a shell, without hidden files
        for match in matches:
            yield from _sources(match, tell)
    else:
        yield _missing(word, "no file matches" if glob.has_magic(word) else "there is no such file")


def _missing(name: str, reason: str) -> PhotoSource:
    def read() -> Path:
        raise UnreadableImage(f"{name}: {reason}")

    return PhotoSource(name, read)


def download(url: str) -> bytes:
    """The bytes at an http or https address; raises UnreadableImage, saying why."""
    if not url.lower().startswith(("http://", "https://")):
        raise UnreadableImage(f"{url}: only http and https addresses can be read")
    import requests

    deadline, content = time.monotonic() + TOTAL_S, bytearray()
    try:
        with requests.get(url, stream=True, timeout=(CONNECT_S, SILENCE_S)) as response:
            response.raise_for_status()
            for chunk in response.iter_content(64 * 1024):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise UnreadableImage(
                        f"{url}: larger than {MAX_BYTES // 1024**2} MB; save it and scale it down"
                    )
                if time.monotonic() > deadline:
                    raise UnreadableImage(f"{url}: not read after {TOTAL_S} seconds; save it to a file first")
    except requests.RequestException as error:
        raise UnreadableImage(f"{url}: {_reason(error)}") from None
    return bytes(content)


def _reason(error: Exception) -> str:
    """Without the address, which a message begins with anyway, and without the names of classes."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate can't be verified"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "there is no connection to the server, or it broke off"
    return str(error)
