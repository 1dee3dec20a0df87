"""`provenance.json`: what a fetched folder holds, and where each part of it came from.

It is the same for the same content: no times, no local paths. Beside the folder's own files,

    {"version": 1,
     "files": {<source path>: {"sha256", "bytes", "origin", "published"?, "substitute"?}},
     "contents": {<file in the folder>: <its sha256>}}

`files` are the downloads, named as in a mirror; `published` repeats the checks that the configuration
gives; `substitute` says how a stand-in differs from the published file.
"""

import json
from pathlib import Path
from typing import Any

from convlab.base.files import file_hash

NAME = "provenance.json"
VERSION = 1


def write(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    """Describe `folder`, whose files are all in place. `files` as in the module's text."""
    contents = {name: file_hash(folder / name) for name in _names(folder)}
    record = {"version": VERSION, "files": files, "contents": contents}
    (folder / NAME).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> dict[str, Any] | None:
    """The record in `folder`, or None if there is none that can be read."""
    try:
        record = json.loads((folder / NAME).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("version") != VERSION:
        return None
    parts = (record.get("files"), record.get("contents"))
    return record if all(isinstance(part, dict) for part in parts) else None


def problem(folder: Path) -> str | None:
    """The first difference between `folder` and its own record, or None. Added files are no difference."""
    record = read(folder)
    if record is None:
        return f"{NAME} is missing or unreadable"
    for name, expected in record["contents"].items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if file_hash(folder / name) != expected:
            return f"{name} has changed"
    return None


def added(folder: Path) -> list[str]:
    """Files in `folder` that its record doesn't name: somebody else's, not to be deleted."""
    record = read(folder)
    return sorted(set(_names(folder)) - set(record["contents"] if record else ()))


def substitutes(folder: Path) -> list[str]:
    """`<source path>: <how it differs>` for each stand-in that `folder` was made from."""
    record = read(folder) or {"files": {}}
    return [
        f"{path}: {entry['substitute']}"
        for path, entry in sorted(record["files"].items())
        if entry.get("substitute")
    ]


def _names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path != folder / NAME
    )
