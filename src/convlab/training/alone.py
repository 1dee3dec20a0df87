"""One training at a time in a run's directory."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convlab.base.errors import ConvlabError
from convlab.base.files import only_one
from convlab.base.project import state_dir


@contextmanager
def alone(run_dir: Path) -> Iterator[None]:
    """Be the only one that trains in `run_dir` while the block runs, or raise ConvlabError."""
    busy = f"{run_dir} is being trained by another process. Wait for it, or train under another name=..."
    lock = hashlib.sha256(str(run_dir.resolve()).encode()).hexdigest()[:16]
    with only_one(state_dir() / "training" / lock, busy):
        yield


def is_training(run_dir: Path) -> bool:
    """Whether a process trains in `run_dir` now."""
    try:
        with alone(run_dir):
            return False
    except ConvlabError:
        return True
