"""requirements/: what is pinned is whole, hashed, and fits every Python that pyproject.toml accepts."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11.0", "3.12.0", "3.13.0")  # the oldest release of each that is supported
NAMES = ("all", "cuda", "dev", "ray")


def entries(name: str) -> dict[Requirement, list[str]]:
    """Each pin of a file, and its hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    found = re.findall(r"^([a-z0-9].*?) \\\n((?: +--hash=.*\n?)+)", text, re.MULTILINE)
    return {Requirement(pin): re.findall(r"--hash=sha256:([0-9a-f]{64})\b", lines) for pin, lines in found}


PINS = {name: entries(name) for name in NAMES}
EVERY = {canonicalize_name(pin.name): pin for name in NAMES for pin in PINS[name]}


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_an_exact_version_with_its_hashes(name: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    assert len([line for line in lines if line[:1].isalnum()]) == len(PINS[name]) > 1
    for pin, hashes in PINS[name].items():
        assert [each.operator for each in pin.specifier] == ["=="]
        assert hashes
    assert not [line for line in lines if "://" in line]  # no host: an index is its user's choice


def test_no_package_is_pinned_twice() -> None:
    assert len(EVERY) == sum(map(len, PINS.values()))


def test_all_that_is_declared_is_pinned_in_a_version_that_it_accepts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    for requirement in map(Requirement, declared):
        if requirement.name != "convlab":
            [pinned] = EVERY[canonicalize_name(requirement.name)].specifier
            assert requirement.specifier.contains(pinned.version), requirement


def test_what_a_pinned_package_needs_is_pinned_too() -> None:
    """Of those installed here: the files are installed without resolving anything."""
    lacking, seen = [], 0
    for name, pin in EVERY.items():
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # of another system, or another torch
            continue
        seen += 1
        for need in map(Requirement, needs):
            here = need.marker is None or need.marker.evaluate({"extra": ""})
            if here and canonicalize_name(need.name) not in EVERY:
                lacking.append(f"{pin.name}: {need}")
    assert not lacking
    assert seen > 200


@pytest.mark.parametrize("python", PYTHONS)
def test_no_pinned_package_asks_for_a_later_python(python: str) -> None:
    late, seen = [], 0
    for name, pin in EVERY.items():
        if pin.marker is not None and not pin.marker.evaluate({"python_full_version": python}):
            continue
        try:
            about = distribution(name).metadata
        except PackageNotFoundError:
            continue
        seen += 1
        if not SpecifierSet(about.get("Requires-Python") or "").contains(python):
            late.append(f"{pin}: Python {about['Requires-Python']}")
    assert not late
    assert seen > 200
