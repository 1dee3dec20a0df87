"""Which model is champion on each data set: the project's own record, which MLflow's registry follows.

champions/<data>/
  history.json      the champions, the present one last; going back takes it away
  <number>/         one promotion: a complete model (complete_model.py), and what it was promoted for
    README.md       its model card
    metrics.json  predictions.npz   its run's evaluation
    gate.json       the conditions and what was found

Imports neither torch nor MLflow.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from convlab.base.errors import ConvlabError
from convlab.base.files import write_json
from convlab.base.project import home_dir, state_dir

HISTORY = "history.json"


@dataclass(frozen=True)
class Champion:
    """One promotion on a data set. `promoted`: when, in UTC."""

    data: str
    number: int
    run: str
    promoted: str

    @property
    def directory(self) -> Path:
        """The complete model."""
        return _folder(self.data) / str(self.number)


def history(data: str) -> list[Champion]:
    """The champions on `data` that going back leads to, the present one last."""
    path = _folder(data) / HISTORY
    entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    return [Champion(**entry) for entry in entries]


def data_sets() -> list[str]:
    """Those that have a champion, in alphabetical order."""
    return sorted(path.parent.name for path in (home_dir() / "champions").glob(f"*/{HISTORY}"))


def champion(data: str | None = None) -> Champion:
    """The present one on `data`, which may be left out where there is one data set with champions."""
    known = data_sets()
    if data is None and len(known) == 1:
        data = known[0]
    if data is None and known:
        raise ConvlabError(f"which champion? There is one on each of {', '.join(known)}: name the data set.")
    if data is None or data not in known:
        what = "no champion yet" if data is None else f"no champion on '{data}'"
        raise ConvlabError(f"{what}, only on: {', '.join(known) or 'none'}. `convlab promote` makes one.")
    return history(data)[-1]


@contextmanager
def changing(data: str) -> Iterator[Path]:
    """An empty directory for the next champion's files; one process at a time is inside."""
    folder = _folder(data)
    lock = state_dir() / "champions.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        staged = folder / ".next" / "model"
        shutil.rmtree(staged.parent, ignore_errors=True)
        try:
            staged.mkdir(parents=True)
            yield staged
        finally:
            shutil.rmtree(staged.parent, ignore_errors=True)
            for empty in (folder, folder.parent):
                with suppress(OSError):  # not empty
                    empty.rmdir()


def next_champion(data: str, run: str) -> Champion:
    """What the staged model will be called; numbers are never given twice."""
    numbers = [int(path.name) for path in _folder(data).glob("*") if path.name.isdigit()]
    return Champion(data, max(numbers, default=0) + 1, run, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


def advance(champion: Champion, staged: Path) -> None:
    """Move the staged model to its place and make it the present champion."""
    staged.rename(champion.directory)
    _write(champion.data, [*history(champion.data), champion])


def step_back(data: str) -> None:
    """Make the champion before the present one; the files of the one that goes stay."""
    _write(data, history(data)[:-1])


def _write(data: str, champions: list[Champion]) -> None:
    write_json(_folder(data) / HISTORY, [asdict(each) for each in champions])


def _folder(data: str) -> Path:
    if not re.fullmatch(r"\w[\w .-]*", data):
        raise ConvlabError(
            f"data.name={data}: a champion's data set needs a name of letters, digits, spaces, - _ and dots."
        )
    return home_dir() / "champions" / data
