"""Python and the installed packages, against what convlab needs and what it was tested with."""

import platform
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import convlab
from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.base.shipped import shipped
from convlab.cli import extras
from convlab.cli.diagnosis.finding import Finding, ok, problem, some, warning


def look() -> list[Finding]:
    return [_python(), _code(), _needed(), _extras(), _pinned()]


def _python() -> Finding:
    wanted = SpecifierSet(distribution("convlab").metadata["Requires-Python"])
    text = f"Python {platform.python_version()} ({sys.executable})"
    if wanted.contains(platform.python_version(), prereleases=True):
        return ok("version", text)
    return problem("version", f"{text}, expected {wanted}", "make PYTHON=/path/to/python3.13")


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
        return warning("convlab", f"{text}, not {own}", f"cd {project} && {_install()}")
    return ok("convlab", text)


def _needed() -> Finding:
    """Each package that convlab can't do without is there, in a version that it declares."""
    lacking = []
    needed = _declared()
    for requirement in needed:
        version = _version(requirement.name)
        if version is None:
            lacking.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(version, prereleases=True):
            lacking.append(f"{requirement.name} is {version}, expected {requirement.specifier}")
    if lacking:
        return problem("requirements", some(lacking), _install())
    return ok("requirements", f"{len(needed)} packages")


def _extras() -> Finding:
    """An extra may be missing; a package that is there in another version than convlab works with may not."""
    whole, missing, other = list[str](), list[str](), list[str]()
    for extra, needed in extras.extras().items():
        versions = {each: _version(each.name) for each in needed}
        (whole if all(versions.values()) else missing).append(extra)
        for each, version in versions.items():
            if version and not each.specifier.contains(version, prereleases=True):
                other.append(f"{each.name} is {version}, expected {each.specifier}")
    if other:
        return problem("extras", some(other), _install())
    text = f"installed: {', '.join(whole) or 'none'}"
    if missing:
        text += f"; not installed: {', '.join(missing)} ({extras.install(','.join(missing))})"
    return ok("extras", text)


def _version(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def _declared() -> list[Requirement]:
    """What convlab always needs: in its own repository what pyproject.toml says now."""
    try:
        text = (project_dir() / "pyproject.toml").read_text()
        about = tomllib.loads(text)["project"]
        if about["name"] == "convlab":
            return [Requirement(line) for line in about["dependencies"]]
    except (ConvlabError, OSError, KeyError):
        pass
    return [each for each in extras.declared() if each.marker is None or each.marker.evaluate({"extra": ""})]


def _pinned() -> Finding:
    """The exact versions that convlab was tested with, of those packages that are installed."""
    installed = {canonicalize_name(each.metadata["Name"]): each.version for each in distributions()}
    lines = (shipped("requirements") / "all.txt").read_text().splitlines()
    pinned = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]
    other = [
        f"{each.name} {installed[canonicalize_name(each.name)]} ({each.specifier})"
        for each in pinned
        if (version := installed.get(canonicalize_name(each.name))) is not None
        and not each.specifier.contains(version, prereleases=True)
    ]
    if other:
        text = f"{len(other)} of {len(pinned)} versions differ from those tested: {some(other)}"
        return warning("versions", text, _install())
    return ok("versions", f"none of {len(pinned)} differs from those tested")


def _install() -> str:
    """What brings all packages in the tested versions."""
    return f"python {shipped('requirements') / 'install.py'}"
