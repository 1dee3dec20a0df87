"""The project: its folder, git, and the state of the DVC pipeline as far as it shows without hashing data."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from convlab.cli.diagnosis.finding import Finding, ok, problem, some, warning


def look(project: Path) -> list[Finding]:
    return [ok("folder", str(project)), _git(project), *_dvc(project)]


def _git(project: Path) -> Finding:
    lost = "runs then record no commit"
    if shutil.which("git") is None:
        return warning("git", f"git is not installed: {lost}", "install git")
    commit = _run("git", "rev-parse", "--short", "HEAD", cwd=project)
    if commit.returncode:
        if _run("git", "rev-parse", "--git-dir", cwd=project).returncode == 0:
            return warning("git", f"nothing is committed yet: {lost}", "git add . && git commit")
        reason = commit.stderr.strip().splitlines()[0]
        return warning("git", f"{reason}: {lost}", "git init && git add . && git commit")
    changes = _run("git", "status", "--porcelain", "--untracked-files=no", cwd=project).stdout.splitlines()
    state = f"{len(changes)} tracked files changed" if changes else "no tracked file changed"
    return ok("git", f"commit {commit.stdout.strip()}, {state}")


def _dvc(project: Path) -> list[Finding]:
    pipeline = project / "dvc.yaml"
    if not pipeline.is_file():
        lack = "no dvc.yaml: single verbs work, `dvc repro` does not"
        return [warning("DVC", lack, "git checkout dvc.yaml")]
    if not (project / ".dvc").is_dir():
        return [problem("DVC", "dvc.yaml without .dvc: `dvc repro` refuses to run", "dvc init")]
    try:
        stages = _stages(project, yaml.safe_load(pipeline.read_text()))
        lock = project / "dvc.lock"
        locked = (yaml.safe_load(lock.read_text()) or {}).get("stages", {}) if lock.is_file() else {}
    except (yaml.YAMLError, AttributeError, TypeError, OSError) as error:
        reason = f"dvc.yaml or dvc.lock is unreadable: {str(error).splitlines()[0]}"
        return [problem("DVC", reason, "git diff dvc.yaml dvc.lock")]
    return [_pipeline(project, stages, locked)]


def _pipeline(project: Path, stages: list[str], locked: dict[str, Any]) -> Finding:
    """Which stages never ran, and of which an output is gone; changed inputs are `dvc status`'s to find."""
    never = [name for name in stages if name not in locked]
    gone = [
        name
        for name in stages
        if any(not (project / out["path"]).exists() for out in locked.get(name, {}).get("outs", []))
    ]
    text = f"{len(stages) - len(never)} of {len(stages)} stages have run"
    if gone:
        text += f", outputs are gone of {some(gone)}"
    if never or gone:
        return ok("DVC", f"{text} (`dvc repro` runs the rest)")
    return ok("DVC", f"{text} (`dvc status` says whether an input changed since)")


def _stages(project: Path, pipeline: dict[str, Any]) -> list[str]:
    """The names as in dvc.lock: `train@lenet` of a stage with `foreach`, whose list `vars` may have."""
    names, lists = [], dict[str, Any]()
    for file in pipeline.get("vars") or []:
        lists |= yaml.safe_load((project / file).read_text())
    for name, stage in pipeline["stages"].items():
        each = stage.get("foreach")
        each = lists.get(each[2:-1], {}) if isinstance(each, str) else each
        names += [f"{name}@{key}" for key in each] if each is not None else [name]
    return names


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)
