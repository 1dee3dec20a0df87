"""Classes of the user's own: `_target_` may name a module of the project, a file beside conf/."""

import hashlib
import importlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.base.trees import targets


def file_of(target: str, root: Path) -> Path | None:
    """The file below `root` whose class or function `target` names; None if it names none there.

    Only paths are looked at: nothing is imported.
    """
    *names, last = target.split(".")
    if not names or not all(name.isidentifier() for name in (*names, last)):
        return None
    module = root.joinpath(*names)
    found = (file for file in (module.with_suffix(".py"), module / "__init__.py") if file.is_file())
    return next(found, None)


def files(part: Any) -> list[Path]:
    """The project's files that `part` of a configuration names classes of, at any depth."""
    root = project_dir()
    found = {file_of(str(target), root) for target in targets(part)}
    return sorted(file for file in found if file is not None)


def place(part: Any) -> str | None:
    """The one file or folder of the project that holds what `part` names, relative to the project.

    None where it names no class of the project's. Raises ConvlabError for files that lie apart.
    """
    found, root = files(part), project_dir()
    if len(found) < 2:
        return found[0].relative_to(root).as_posix() if found else None
    common = Path(os.path.commonpath(found))
    if common == root:
        names = ", ".join(file.relative_to(root).as_posix() for file in found)
        raise ConvlabError(
            f"an experiment's own classes lie apart ({names}): put them into one file or folder."
        )
    return common.relative_to(root).as_posix()


def code_hash(part: Any) -> str | None:
    """sha256 hex over the project's files that `part` names; None where it names none."""
    found = files(part)
    digest = hashlib.sha256()
    for file in found:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest() if found else None


def make_importable(part: Any, root: Path | None = None) -> None:
    """Let Python find the modules below `root` (the project) that `part` names.

    They come last: a module of theirs never hides an installed one.
    """
    root = root or _project()
    if root is not None and any(file_of(str(target), root) for target in targets(part)):
        _append(str(root))


def check(part: Any, package: str, roots: Iterable[Path]) -> None:
    """Raise ConvlabError if `part` names anything but classes of `package` and of files below `roots`."""
    allowed = list(roots)
    for target in targets({"_target_": None, **part}):
        name = str(target)
        if not name.startswith(package) and not any(_defines(root, name) for root in allowed):
            raise ConvlabError(
                f"model '{name}' is not one of convlab's own ({package}*)"
                + (f", nor a class of a file in {allowed[0]}." if allowed else ".")
            )


def roots_of(directory: Path) -> list[Path]:
    """Whose classes a model in `directory` may name: the project's, if it lies inside the project."""
    root = _project()
    return [root] if root is not None and directory.resolve().is_relative_to(root.resolve()) else []


def _defines(root: Path, name: str) -> bool:
    """Whether a file below `root` defines the class `name`: what it has only imported does not count."""
    if file_of(name, root) is None:
        return False
    _append(str(root))
    module, _, last = name.rpartition(".")
    found = getattr(importlib.import_module(module), last, None)
    if not isinstance(found, type):
        return False
    return file_of(f"{found.__module__}.{found.__name__}", root) is not None


def _project() -> Path | None:
    try:
        return project_dir()
    except ConvlabError:
        return None


def _append(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)
