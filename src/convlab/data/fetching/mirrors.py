"""A mirror: a folder or http(s) URL that holds the sources' files, described by its `manifest.json`.

    {"version": 1,
     "files": {<path>: {"sha256", "bytes", "origin", "substitute"?}}}

`origin` is where the file is published. `substitute` marks a stand-in for the published file and says
how it differs.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from convlab.base.errors import ConvlabError
from convlab.base.files import write_json
from convlab.data.fetching.download import Expected, download
from convlab.data.fetching.retries import Unavailable, request, retrying

NAME = "manifest.json"
VERSION = 1
MAX_MANIFEST_BYTES = 1 << 26


@dataclass(frozen=True)
class Entry:
    """One file of a mirror."""

    sha256: str
    bytes: int
    origin: str
    substitute: str | None = None

    @property
    def expected(self) -> Expected:
        return Expected(bytes=self.bytes, sha256=self.sha256)


@dataclass(frozen=True)
class Mirror:
    """Where a mirror is, and what its manifest lists."""

    location: str
    entries: dict[str, Entry]

    def file(self, path: str, downloads: Path) -> Path | None:
        """The verified file listed as `path`, or None if it isn't there.

        A mirror in a folder lends its own file: read it, don't touch it. From a URL the file is
        downloaded into `downloads`. Raises Unavailable.
        """
        expected = self.entries[path].expected
        if _is_url(self.location):
            try:
                url = f"{self.location.rstrip('/')}/{path}"
                return download(url, expected, downloads, Path(path).name)
            except Unavailable as error:
                if error.missing:
                    return None
                raise
        file = Path(self.location).expanduser() / path
        if not file.is_file():
            return None
        if problem := expected.problem(file):
            raise Unavailable(problem)
        return file


def chosen() -> Mirror | None:
    """The mirror that CONVLAB_MIRROR names, or None. Raises ConvlabError when it can't be used."""
    location = os.environ.get("CONVLAB_MIRROR")
    return Mirror(location, read(location)) if location else None


def read(location: str) -> dict[str, Entry]:
    """What the manifest at `location` lists. Raises ConvlabError if there is none or it is unreadable."""
    place = f"{location.rstrip('/')}/{NAME}"
    try:
        text = _get(place) if _is_url(location) else Path(place).expanduser().read_bytes()
    except (Unavailable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConvlabError(
            f"the mirror has no readable manifest: {place}: {reason}. Correct CONVLAB_MIRROR (it names a "
            "folder or http(s) URL made with `convlab mirror`), or unset it to use the published URLs."
        ) from None
    return parse(text, place)


def parse(text: bytes, place: str) -> dict[str, Entry]:
    """What the manifest `text`, found at `place`, lists. Raises ConvlabError if it is none."""
    try:
        manifest = json.loads(text)
        if manifest["version"] != VERSION:
            raise ValueError(f"expected version {VERSION}, found {manifest['version']}")
        return {
            path: Entry(str(file["sha256"]), int(file["bytes"]), str(file["origin"]), file.get("substitute"))
            for path, file in manifest["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConvlabError(
            f"{place} is not a mirror's manifest: {type(error).__name__}: {error}. "
            "Make the mirror again with `convlab mirror`."
        ) from None


def write(folder: Path, entries: dict[str, Entry]) -> None:
    """Write the manifest of the mirror in `folder`, replacing an earlier one at a stroke."""
    files = {
        path: {key: value for key, value in asdict(entry).items() if value is not None}
        for path, entry in sorted(entries.items())
    }
    write_json(folder / NAME, {"version": VERSION, "files": files})


def _get(url: str) -> bytes:
    def attempt() -> bytes:
        with request(url) as response:
            return bytes(response.raw.read(MAX_MANIFEST_BYTES))

    return retrying(url, attempt)


def _is_url(location: str) -> bool:
    return location.startswith(("http://", "https://"))
