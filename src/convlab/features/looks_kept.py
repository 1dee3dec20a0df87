"""The looks of photos, kept beside their vectors: nothing is decoded again to compare them."""

from collections.abc import Mapping
from pathlib import Path

from convlab.data.looks import BYTES

KEY_BYTES = 32
ROW_BYTES = KEY_BYTES + BYTES


class LooksKept:
    """Content hash -> look, in a file of ROW_BYTES for each: the hash, the look.

    Written before the vectors that they belong to, so a kill loses none; half a row at the end is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        rows = path.read_bytes() if path.is_file() else b""
        whole = len(rows) - len(rows) % ROW_BYTES
        if whole < len(rows):
            with path.open("rb+") as file:
                file.truncate(whole)
        self._known = {
            rows[start : start + KEY_BYTES]: rows[start + KEY_BYTES : start + ROW_BYTES]
            for start in range(0, whole, ROW_BYTES)
        }

    def of(self, contents: list[str]) -> dict[str, bytes]:
        """Of those that are known."""
        pairs = ((content, self._known.get(bytes.fromhex(content))) for content in contents)
        return {content: look for content, look in pairs if look is not None}

    def add(self, looks: Mapping[str, bytes]) -> None:
        new = {bytes.fromhex(content): look for content, look in looks.items()}
        with self._path.open("ab") as file:
            file.write(b"".join(key + look for key, look in new.items() if self._known.get(key) != look))
        self._known.update(new)
