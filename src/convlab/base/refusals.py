"""What pydantic says of a setting, as one line that a person understands."""

from typing import Any

from pydantic import BaseModel, ValidationError

from convlab.base.errors import near
from convlab.base.kinds import shown

WITHOUT = {  # how to do without a part: `~scheduler` leaves a hole
    "scheduler": "scheduler=constant is none.",
    "averaging": "averaging.decay=null is none.",
    "backbone": "backbone=none is none.",
    "logger": "logger=none is none.",
    "checkpoint": "checkpoint.monitor=null takes the last step.",
    "init": "init=null is none.",
}
EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "settings, {key: value}",
    "model_type": "settings, {key: value}",
    "model_attributes_type": "settings, {key: value}",
    "list_type": "a list",
}


def explained(error: ValidationError, settings: dict[str, Any], schema: type[BaseModel]) -> str:
    """The key, its value and what is expected. schema: of the whole, for near matches of an unknown key."""
    problems = error.errors(include_url=False)
    # of a union's alternatives, all fail: the first says enough, null is understood
    first = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    path = _path(first["loc"], settings)
    key, kind = ".".join(path), first["type"]
    if kind == "extra_forbidden":
        siblings = schema.model_fields if len(path) == 1 else _siblings(path, schema)
        hint = near(path[-1], siblings) or "`convlab train --cfg job` prints every key."
        return f"there is no setting '{key}'. {hint}"
    if kind == "missing":
        return f"{key} is missing. {WITHOUT.get(key, 'conf/train.yaml has it.')}"
    expected = EXPECTED.get(kind) or first["msg"].removeprefix("Input should be ")
    expected = expected.replace("greater than or equal to", "at least")
    return f"{key}={shown(first['input'])}: expected {expected}."


def _path(location: tuple[int | str, ...], settings: Any) -> list[str]:
    """The keys in `location`, less the names of a union's alternatives that pydantic adds."""
    path: list[str] = []
    for part in location:
        if isinstance(settings, dict) and part in settings:
            path.append(str(part))
            settings = settings[part]
        elif not path or isinstance(settings, dict):
            path.append(str(part))
            settings = None
    return path


def _siblings(path: list[str], schema: type[BaseModel]) -> list[str]:
    model: Any = schema
    for name in path[:-1]:
        model = model.model_fields[name].annotation
    return list(model.model_fields)
