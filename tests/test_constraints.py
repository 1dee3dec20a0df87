"""constraints.txt on every Python 3.11: a package may ask for a later patch release than a machine has."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

OLDEST = "3.11.0"  # that pyproject.toml accepts
PINS = (Path(__file__).parents[1] / "constraints.txt").read_text().splitlines()


def test_no_pinned_package_asks_for_a_later_python():
    late, seen = [], 0
    for line in filter(None, (pin.partition("#")[0].strip() for pin in PINS)):
        try:
            about = distribution(Requirement(line).name).metadata
        except PackageNotFoundError:  # of another system
            continue
        seen += 1
        if not SpecifierSet(about.get("Requires-Python") or "").contains(OLDEST):
            late.append(f"{line}: Python {about['Requires-Python']}")
    assert not late
    assert seen > 100
