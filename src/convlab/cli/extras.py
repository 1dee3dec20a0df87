"""convlab's extras, as the installed package's metadata list them: which brings what, and how to get one."""

from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PACKAGES = {"sklearn": "scikit-learn", "starlette": "fastapi"}  # of modules called otherwise
_COLLECTIONS = ("all", "dev")  # they bring other extras' packages


def extras() -> dict[str, list[Requirement]]:
    """What each extra brings, that of the extras it includes too; in alphabetical order."""
    found: dict[str, list[Requirement]] = {}
    for each in declared():
        for extra in _extras_of(each):
            if extra not in _COLLECTIONS:
                found.setdefault(extra, []).append(each)
    return dict(sorted(found.items()))


def declared() -> list[Requirement]:
    """All that convlab asks for, extras included; nothing where it runs without being installed."""
    try:
        return [Requirement(line) for line in requires("convlab") or []]
    except PackageNotFoundError:
        return []


def remedy(module: str) -> str | None:
    """`PACKAGE: pip install ...` for a module that can't be imported; None if no extra brings it."""
    top = module.partition(".")[0]
    package = canonicalize_name(_PACKAGES.get(top, top))
    found = [
        (len(packages), extra)
        for extra, packages in extras().items()
        if any(canonicalize_name(each.name) == package for each in packages)
    ]
    return f"{package}: {install(min(found)[1])}" if found else None  # the smallest


def install(extra: str) -> str:
    """The command that adds an extra."""
    return f"pip install 'convlab[{extra}]'"


def _extras_of(requirement: Requirement) -> list[str]:
    text = str(requirement.marker).replace("'", '"')
    return [part.partition('"')[0] for part in text.split('extra == "')[1:]]
