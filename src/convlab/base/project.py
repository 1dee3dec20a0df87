"""Where the project's files are: the folder that holds `conf/` and `dvc.yaml`, and its private state.

A project's configuration extends convlab's own: a file that `conf/` lacks is the package's.
"""

import os
from pathlib import Path

from convlab.base.errors import ConvlabError
from convlab.base.shipped import shipped


def project_dir() -> Path:
    """The project's root: the nearest folder at or above the current one with `conf/train.yaml`.

    `CONVLAB_PROJECT` overrides the search. Raises ConvlabError when there is none.
    """
    if chosen := os.environ.get("CONVLAB_PROJECT"):
        candidates = [Path(chosen).resolve()]
    else:
        here = Path.cwd().resolve()
        candidates = [here, *here.parents]
    for folder in candidates:
        if (folder / "conf" / "train.yaml").is_file():
            return folder
    raise ConvlabError(
        f"no convlab project at or above {candidates[0]} (looked for conf/train.yaml). "
        "Change into the project's folder, or set CONVLAB_PROJECT to it. `convlab new DIR` makes one."
    )


def home_dir() -> Path:
    """The project whose state is shared: `project_dir()`, or its origin in a DVC experiment's copy.

    `dvc exp run --queue` and `--temp` run stages in copies under `<project>/.dvc/tmp/exps/`. What
    should outlive such a copy (caches, the tracking database) belongs to the project it came from.
    """
    folder = project_dir()
    for parent in folder.parents:
        if parent.name == ".dvc" and folder.is_relative_to(parent / "tmp" / "exps"):
            return parent.parent
    return folder


def state_dir() -> Path:
    """Caches and partial downloads: `CONVLAB_STATE`, else `<project>/.convlab`. Safe to delete."""
    if chosen := os.environ.get("CONVLAB_STATE"):
        return Path(chosen).resolve()
    return home_dir() / ".convlab"


def cache_place() -> str:
    """Where the bottleneck cache is: what CONVLAB_CACHE says, a folder or an object store's address."""
    chosen = os.environ.get("CONVLAB_CACHE") or str(state_dir() / "bottlenecks")
    return chosen if "://" in chosen else str(Path(chosen).resolve())


def conf_dirs() -> list[Path]:
    """Where configuration files are looked for, in this order. In convlab's repository the two are one."""
    own, package = project_dir() / "conf", shipped("conf")
    return [own] if own.resolve() == package.resolve() else [own, package]


def conf_file(name: str) -> Path:
    """The file that `name` means, the project's own if it has one: `gate.yaml`, `data/digits.yaml`."""
    paths = [folder / name for folder in conf_dirs()]
    return next((path for path in paths if path.is_file()), paths[0])


def conf_groups() -> dict[str, dict[str, Path]]:
    """Each configuration group (a folder) with its choices and their files, both sorted by name."""
    found: dict[str, dict[str, Path]] = {}
    for folder in reversed(conf_dirs()):  # the project's files replace the package's
        for file in folder.glob("*/*.yaml"):
            found.setdefault(file.parent.name, {})[file.stem] = file
    return {group: dict(sorted(files.items())) for group, files in sorted(found.items())}
