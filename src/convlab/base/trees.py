"""Configurations as plain nested dicts and lists: their leaves, and the classes that they name."""

from collections.abc import Callable, Iterator
from typing import Any

# Classes that version 0.1 kept elsewhere: configurations and runs that name them are still read
MOVED = {"convlab.preprocessing.Preprocessing": "convlab.data.preprocessing.Preprocessing"}
_FIRST = {now: first for first, now in MOVED.items()}


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested settings by their dotted paths; an empty part is a leaf."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, dict) and value
        leaves |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return leaves


def targets(part: Any) -> Iterator[Any]:
    """What would be called to build `part`, at any depth."""
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "_target_")
        part = list(part.values())
    if isinstance(part, list | tuple):
        for each in part:
            yield from targets(each)


def present_names(part: Any) -> Any:
    """`part` with every class that has moved named as it is now."""
    return _renamed(part, lambda name: MOVED.get(name, name))


def first_names(part: Any) -> Any:
    """`part` with every class named as it was at first, so that a hash outlives a move."""
    return _renamed(part, lambda name: _FIRST.get(name, name))


def _renamed(part: Any, rename: Callable[[Any], Any]) -> Any:
    if isinstance(part, dict):
        return {
            key: rename(value) if key == "_target_" and isinstance(value, str) else _renamed(value, rename)
            for key, value in part.items()
        }
    return [_renamed(each, rename) for each in part] if isinstance(part, list) else part
