"""Make a project: configuration, pipeline, the embedded sample, a Makefile.

usage: convlab new DIR

DIR is a new folder, or one that holds none of the files below (. is the current one). It gets

  conf/            your configuration, almost empty: it extends convlab's own
  dvc.yaml         the pipeline, and pipeline.yaml, what it is made of (`convlab pipeline` writes it)
  data.dvc         with assets/sample/: the embedded sample
  Makefile         make demo runs the pipeline on the sample, and installs what it needs before
  README.md, .gitignore, .dvc/, .dvcignore

and becomes a git repository, if git is installed and it does not lie in one. Nothing is committed.

examples
  convlab new flowers && cd flowers && make demo
  convlab new .
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.shipped import shipped

REPORT = "sample"  # what a new project's pipeline makes
TEMPLATE = Path(__file__).parents[1] / "template"
SHIPPED = (".gitignore", "assets/sample", "data.dvc")  # as they are
DVC = "[core]\n    analytics = false\n    check_update = false\n"
WRITTEN = {
    ".dvc/config": DVC,
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": "/.venv/\n",  # an environment holds convlab's own dvc.yaml
}


def run(args: list[str]) -> int:
    """Write the project's files; all of them, or none."""
    parser = argparse.ArgumentParser(prog="convlab new", add_help=False)
    parser.add_argument("directory", metavar="DIR", type=Path)
    directory = parser.parse_args(args).directory
    content = _content()
    if directory.exists() and not directory.is_dir():
        raise ConvlabError(f"{directory} is a file. Choose another name for the project's folder.")
    if there := [name for name in content if os.path.lexists(directory / name)]:
        raise ConvlabError(
            f"{directory} has {', '.join(there[:3])}{' and more' if there[3:] else ''} already; nothing was "
            "written. Choose a new folder."
        )
    try:
        _write(directory, content)
    except OSError as error:
        raise ConvlabError(f"{directory}: {error.strerror}. Choose a folder that you may write to.") from None
    _to_git(directory)
    where = "" if directory.resolve() == Path.cwd() else f"cd {directory} && "
    console.print(f"Made {directory.resolve().name}/: {', '.join(sorted(_tops(content)))}", markup=False)
    console.print(f"Next:  {where}make demo", markup=False)
    return 0


def _content() -> dict[str, bytes]:
    """Each file of a new project by its path."""
    content = {name: text.encode() for name, text in WRITTEN.items()}
    content["dvc.yaml"] = graph(shipped("dvc.yaml").read_text()).encode()
    content["pipeline.yaml"] = listed(shipped("pipeline.yaml").read_text()).encode()
    for name in SHIPPED:
        content |= _files(shipped(name), name)
    return content | _files(TEMPLATE)


def _files(source: Path, name: str = "") -> dict[str, bytes]:
    """A file, or all of a folder, as `name`."""
    paths = [source] if source.is_file() else sorted(source.rglob("*"))
    return {str(Path(name, path.relative_to(source))): path.read_bytes() for path in paths if path.is_file()}


def _write(directory: Path, content: dict[str, bytes]) -> None:
    for name, data in content.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    # where make looks for convlab if no environment is active; not part of the project
    state = directory / ".convlab" / "python"
    state.parent.mkdir(exist_ok=True)
    state.write_text(f"{sys.executable}\n")


def _to_git(directory: Path) -> None:
    """A repository for it, unless it lies in one; DVC is told where there is none."""
    if shutil.which("git") is None:
        (directory / ".dvc" / "config").write_text(f"{DVC}    no_scm = true\n")
        return
    git = ["git", "-C", str(directory)]
    inside = subprocess.run([*git, "rev-parse", "--is-inside-work-tree"], capture_output=True).returncode == 0
    ignored = subprocess.run([*git, "check-ignore", "--quiet", "."], capture_output=True).returncode == 0
    if not inside or ignored:
        subprocess.run([*git, "init", "--quiet"], check=True)


def _tops(content: dict[str, bytes]) -> set[str]:
    return {name.partition("/")[0] + ("/" if "/" in name else "") for name in content}


def graph(text: str) -> str:
    """dvc.yaml as a project has it: no stage depends on convlab's source, which does not lie in it.

    Part of the configuration lies outside of the project, too: what it composes is looked at each time.
    """
    lines = [line for line in text.splitlines(keepends=True) if "- src/convlab/" not in line]
    return "".join(lines).replace(
        "    cmd: convlab compose\n", "    cmd: convlab compose\n    always_changed: true\n"
    )


def listed(text: str) -> str:
    """pipeline.yaml of a new project: the sample's experiments."""
    content = yaml.safe_load(text)
    kept = {name: entry for name, entry in content["experiments"].items() if entry["report"] == REPORT}
    for entry in kept.values():
        entry["code"] = "configs/convlab.yaml"
    inputs = {entry["input"] for entry in kept.values()}
    content |= {
        "fetch": {},
        "features": {key: each for key, each in content["features"].items() if each["out"] in inputs},
        "experiments": kept,
        "visualized": {name: dict(kept[name]) for name in content["visualized"] if name in kept},
        "reports": {REPORT: content["reports"][REPORT]},
    }
    heading = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    return heading + yaml.safe_dump(content, sort_keys=False)
