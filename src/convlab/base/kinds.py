"""The kind of a value in a configuration, in words. Without pydantic, which takes as long as a table."""

import json
import math
from typing import Any

from convlab.base.errors import ConvlabError


def check_kind(key: str, value: Any, usual: Any) -> None:
    """Raise ConvlabError if `value` is of another kind than `usual`, which a file of conf/ has there."""
    if isinstance(value, float) and math.isnan(value):
        raise ConvlabError(f"{key}=nan: expected {_kind(value) if usual is None else _kind(usual)}.")
    if value is None or usual is None or isinstance(usual, str) or _kind(value) == _kind(usual):
        return
    raise ConvlabError(f"{key}={shown(value)}: expected {_kind(usual)}, such as {shown(usual)}.")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list | tuple):
        return "a list"
    return "settings, {key: value}" if isinstance(value, dict) else "text"


def shown(value: Any) -> str:
    """As it is written on a command line."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
