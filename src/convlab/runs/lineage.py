"""Where a run's code comes from."""

import subprocess
from typing import Any

from convlab.base.project import project_dir


def git_state() -> dict[str, Any]:
    """`git_commit` (None outside a repository) and whether tracked files differ from it, `git_dirty`."""
    commit = _git("rev-parse", "HEAD")
    # dvc.lock changes while the pipeline runs: it says what came out, not what went in
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
    return {"git_commit": commit or None, "git_dirty": bool(changes)}


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=project_dir(), capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
