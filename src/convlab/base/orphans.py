"""A process ends with the one that it works for, however that ended: two would write into one run.

Left behind by a SIGKILL, it would go on for as long as its work takes, beside the next command.
"""

import os
import signal
import threading
import time
from pathlib import Path

LOOKED_EVERY_S = 0.1
SHELLS = ("sh", "ash", "bash", "dash", "fish", "ksh", "zsh")  # which may stand in between


def end_with_dvc() -> None:
    """End this process as a kill would, once the `dvc` that runs it as a stage's command is gone."""
    if "DVC_STAGE" in os.environ:  # which dvc sets for these
        end_with_parent()


def end_with_parent() -> None:
    """End this process once its parent is gone, or what stands behind a shell that is its parent."""
    if hasattr(signal, "SIGKILL"):
        threading.Thread(target=_watch, args=(_line(),), name="orphans", daemon=True).start()


def _watch(line: list[tuple[int, int]]) -> None:
    while all(_parent(pid) == parent for pid, parent in line):
        time.sleep(LOOKED_EVERY_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _line() -> list[tuple[int, int]]:
    """This process and the shells above it, each with its parent."""
    pid, line = os.getpid(), list[tuple[int, int]]()
    while True:
        parent = _parent(pid)
        line.append((pid, parent))
        if parent <= 1 or _name(parent) not in SHELLS:
            return line
        pid = parent


def _parent(pid: int) -> int:
    """0 where it is gone, or can't be told: only Linux says it of another process."""
    if pid == os.getpid():
        return os.getppid()
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
