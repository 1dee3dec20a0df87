"""What decoding found doubtful in a photo: kept beside its vector, and said whenever that is used."""

import json
from pathlib import Path


class Doubts:
    """Content hash -> what is doubtful, in a file of lines `["<hash>", "<why>"]`.

    A line is written before the vector it belongs to, so a kill loses none. What is no such line, for
    instance one that was cut off, is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] = {}
        if path.is_file():
            for line in path.read_text(errors="replace").splitlines():
                try:
                    content, why = json.loads(line)
                except (ValueError, TypeError):
                    continue
                self._known[content] = why

    def __getitem__(self, content: str) -> str:
        return self._known[content]

    def __contains__(self, content: str) -> bool:
        return content in self._known

    def add(self, found: dict[str, str]) -> None:
        """Remember what is new."""
        new = [(content, why) for content, why in found.items() if self._known.get(content) != why]
        if new:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(each) + "\n" for each in new)
            self._known.update(new)
