"""The pictures of a report, as files beside the page: loaded when looked at, and kept once for all runs.

A file is named by its content: equal runs make equal folders, and runs on the same images share theirs.
"""

import re
from pathlib import Path

from convlab.base.files import atomic_file, file_hash

FOLDER = "pictures"
NAME = re.compile(r"[0-9a-f]{16}\.(png|webp)")


class Pictures:
    """Filled while the page is made, then copied."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}

    def add(self, file: Path) -> str:
        """The address of `file` from the page."""
        name = file_hash(file)[:16] + file.suffix
        self._files[name] = file
        return f"{FOLDER}/{name}"

    def write(self, directory: Path) -> None:
        """Copy them to the folder beside the page in `directory`; those of an earlier page go."""
        folder = directory / FOLDER
        for name, file in sorted(self._files.items()):
            if not (folder / name).is_file():
                with atomic_file(folder / name) as copy:
                    copy.write(file.read_bytes())
        for old in folder.glob("*"):
            if old.name not in self._files and NAME.fullmatch(old.name):
                old.unlink()
