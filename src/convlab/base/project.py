"""Where the project's files are: the folder that holds `conf/` and `dvc.yaml`, and its private state."""

import os
from pathlib import Path

from convlab.base.errors import ConvlabError


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
        "Change into the project's folder, or set CONVLAB_PROJECT to it."
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


def config_groups() -> dict[str, list[str]]:
    """The configuration groups in `conf/` and the choices of each."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted((project_dir() / "conf").iterdir())
        if folder.is_dir()
    }


def state_dir() -> Path:
    """Caches and partial downloads: `CONVLAB_STATE`, else `<project>/.convlab`. Safe to delete."""
    if chosen := os.environ.get("CONVLAB_STATE"):
        return Path(chosen).resolve()
    return home_dir() / ".convlab"
