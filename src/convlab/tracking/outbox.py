"""What MLflow has not been told yet: a journal in the directory of a run or a group, until it is sent.

unsent.jsonl   a line for each thing to tell, in order, with `to`, whom it is for; none where nothing waits

Everything is written here first. What the process that wrote it can't send, because the server is away or it
was killed, `convlab sync` sends later. No MLflow is imported here.
"""

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from convlab.base.files import write_text
from convlab.base.project import project_dir, state_dir

NAME = "unsent.jsonl"
Event = dict[str, Any]


class Outbox:
    """The journal of one directory. Threads and processes may share it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        name = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
        lock = state_dir() / "unsent" / name
        lock.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(lock)

    def append(self, event: Event) -> None:
        """Keep `event` behind all others: the end of this process no longer loses it."""
        line = f"{json.dumps(event)}\n".encode()
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                if file.tell() and not _ends_with_a_line(self.path):  # the disk was full, or the power failed
                    line = b"\n" + line
                file.write(line)

    def waiting(self, to: str | None = None) -> list[Event]:
        """What waits, the oldest first; of `to` only, if it is given."""
        with self._lock:
            lines = self.path.read_text(errors="replace").splitlines() if self.path.is_file() else []
        events = [event for line in lines if (event := _read(line)) is not None]
        return [event for event in events if to in (None, event["to"])]

    @contextmanager
    def taking(self, to: str) -> Iterator[deque[Event]]:
        """What waits for `to`, to be taken from the left; what is left of it when the block ends, stays."""
        with self._lock:
            everything = self.waiting()
            mine = deque(event for event in everything if event["to"] == to)
            count = len(mine)
            try:
                yield mine
            finally:
                if len(mine) < count:
                    self._write([event for event in everything if event["to"] != to] + list(mine))

    def clear(self) -> None:
        with self._lock:
            self.path.unlink(missing_ok=True)

    def _write(self, events: list[Event]) -> None:
        if events:
            write_text(self.path, "".join(f"{json.dumps(event)}\n" for event in events))
        else:
            self.path.unlink(missing_ok=True)


def directories() -> list[Path]:
    """Those in which something waits, of the project's runs and sweeps, a sweep before its runs."""
    found = [path for folder in ("runs", "sweeps") for path in (project_dir() / folder).rglob(NAME)]
    return sorted(path.parent for path in found)


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _read(line: str) -> Event | None:
    """The event of one line; None where it was cut off."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and {"do", "to"} <= set(event) else None
