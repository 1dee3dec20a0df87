"""Python and the installed packages, against what convlab needs and what the project was tested with."""

import platform
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import convlab
from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.cli.diagnosis.finding import Finding, ok, problem, some, warning

INSTALL = "pip install -c constraints.txt -e '.[dev]'"


def look() -> list[Finding]:
    return [_python(), _code(), _needed(), *_constraints()]


def _python() -> Finding:
    wanted = SpecifierSet(distribution("convlab").metadata["Requires-Python"])
    text = f"Python {platform.python_version()} ({sys.executable})"
    if wanted.contains(platform.python_version(), prereleases=True):
        return ok("version", text)
    return problem("version", f"{text}, expected {wanted}", "make PYTHON=/path/to/python3.11")


def _code() -> Finding:
    """A project with code of its own should be the one that runs."""
    folder = Path(convlab.__file__).resolve().parent
    text = f"convlab {convlab.__version__} from {folder}"
    try:
        project = project_dir()
    except ConvlabError:
        return ok("convlab", text)
    own = project / "src" / "convlab"
    if own.is_dir() and own.resolve() != folder:
        return warning("convlab", f"{text}, not {own}", f"cd {project} && {INSTALL}")
    return ok("convlab", text)


def _needed() -> Finding:
    """Each package that convlab declares is there, in a version that it declares."""
    lacking = []
    needed = _declared()
    for requirement in needed:
        try:
            version = distribution(requirement.name).version
        except PackageNotFoundError:
            lacking.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            lacking.append(f"{requirement.name} is {version}, expected {requirement.specifier}")
    if lacking:
        return problem("requirements", some(lacking), INSTALL)
    return ok("requirements", f"{len(needed)} packages")


def _declared() -> list[Requirement]:
    """What the project's pyproject.toml asks for; without a project, what the installed convlab does."""
    try:
        text = (project_dir() / "pyproject.toml").read_text()
        return [Requirement(line) for line in tomllib.loads(text)["project"]["dependencies"]]
    except (ConvlabError, OSError, KeyError):
        lines = [Requirement(line) for line in requires("convlab") or []]
        return [each for each in lines if each.marker is None or each.marker.evaluate({"extra": ""})]


def _constraints() -> list[Finding]:
    """The exact versions of the project's constraints.txt, of those packages that are installed."""
    try:
        path = project_dir() / "constraints.txt"
    except ConvlabError:
        return []
    if not path.is_file():
        return []
    installed = {canonicalize_name(each.metadata["Name"]): each.version for each in distributions()}
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    pinned = [Requirement(line) for line in lines if line]
    other = [
        f"{each.name} {installed[canonicalize_name(each.name)]} ({each.specifier})"
        for each in pinned
        if (version := installed.get(canonicalize_name(each.name))) is not None
        and not each.specifier.contains(version, prereleases=True)
    ]
    if other:
        text = f"{len(other)} of {len(pinned)} pinned versions differ: {some(other)}"
        return [warning("constraints.txt", text, INSTALL)]
    return [ok("constraints.txt", f"none of {len(pinned)} pinned versions differs")]
