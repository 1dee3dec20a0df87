"""One thing that was looked at, how it is, and the way out if it isn't as it should be."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, but not as one would expect
    PROBLEM = "problem"  # something fails because of it


@dataclass(frozen=True)
class Finding:
    """`remedy` is empty where nothing is to be done."""

    name: str
    status: Status
    text: str
    remedy: str = ""


def ok(name: str, text: str) -> Finding:
    return Finding(name, Status.OK, text)


def warning(name: str, text: str, remedy: str) -> Finding:
    return Finding(name, Status.WARNING, text, remedy)


def problem(name: str, text: str, remedy: str) -> Finding:
    return Finding(name, Status.PROBLEM, text, remedy)


def some(names: list[str], most: int = 4) -> str:
    """The first of `names`, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
