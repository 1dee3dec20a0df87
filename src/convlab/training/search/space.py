"""What a search varies: `search.space` read and checked, and a trial's values as overrides."""

import json
import math
import re
from typing import Any

from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from convlab.base.errors import ConvlabError

KEYS = {"low", "high", "log", "step", "choices"}
EXPECTED = "Write {low: 0.01, high: 0.3, log: true} for a range, {choices: [64, 128]} for alternatives."
PLAIN = re.compile(r"[A-Za-z_][\w.+-]*")  # a string that Hydra reads without quotes

Value = bool | int | float | str | None


def read(space: Any, path: str = "") -> dict[str, BaseDistribution]:
    """The distribution of each parameter, by its dotted path in the configuration.

    `space` repeats the configuration's tree; a leaf is a range or a list of choices. A range between whole
    numbers is one of whole numbers. Raises ConvlabError for anything else, with the offending value.
    """
    if isinstance(space, dict) and path and (KEYS & space.keys() or not space):
        return {path: _distribution(path, space)}
    if not isinstance(space, dict) or not space:
        where = f"search.space{path and '.'}{path}"
        raise ConvlabError(f"{where}={json.dumps(space)}: there is nothing to search. {EXPECTED}")
    found: dict[str, BaseDistribution] = {}
    for key, part in space.items():
        found |= read(part, f"{path}.{key}" if path else str(key))
    return found


def draw(trial: Trial, space: dict[str, BaseDistribution]) -> dict[str, Value]:
    """The trial's value of each parameter; one that was put back keeps those it had."""
    return {path: _suggest(trial, path, distribution) for path, distribution in space.items()}


def example(space: dict[str, BaseDistribution]) -> dict[str, Value]:
    """A value of each parameter, for trying whether they fit the configuration."""
    return {
        path: each.choices[0] if isinstance(each, CategoricalDistribution) else each.low  # type: ignore[attr-defined]
        for path, each in space.items()
    }


def words(values: dict[str, Value]) -> list[str]:
    """`values` as overrides for the command line."""
    return [f"{path}={_word(value)}" for path, value in values.items()]


def show_value(value: Value) -> str:
    """A parameter's value, short: three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _suggest(trial: Trial, path: str, distribution: BaseDistribution) -> Value:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(path, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            path, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(
        path, distribution.low, distribution.high, step=distribution.step, log=distribution.log
    )


def _distribution(path: str, leaf: dict[str, Any]) -> BaseDistribution:
    named = f"search.space.{path}={json.dumps(leaf)}"
    if unknown := leaf.keys() - KEYS:
        raise ConvlabError(f"{named}: unknown key '{min(unknown)}'. {EXPECTED}")
    if "choices" in leaf:
        return _choices(named, leaf)
    low: Any
    high: Any
    step: Any
    low, high, log, step = leaf.get("low"), leaf.get("high"), leaf.get("log", False), leaf.get("step")
    if not (_is_number(low) and _is_number(high)):
        raise ConvlabError(f"{named}: low and high must be numbers. {EXPECTED}")
    if not low < high:
        raise ConvlabError(f"{named}: the range is empty, low must be below high.")
    if log and low <= 0:
        raise ConvlabError(f"{named}: a logarithmic range begins above 0.")
    if step is not None and (log or not _is_number(step) or not 0 < step <= high - low):
        raise ConvlabError(f"{named}: step must be above 0, at most high - low, and without log.")
    if all(isinstance(value, int) for value in (low, high, step or 1)):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(low, high, log=log, step=step)


def _choices(named: str, leaf: dict[str, Any]) -> CategoricalDistribution:
    choices = leaf["choices"]
    if leaf.keys() != {"choices"}:
        raise ConvlabError(f"{named}: either choices or a range. {EXPECTED}")
    if not isinstance(choices, list) or not choices:
        raise ConvlabError(f"{named}: choices must be a list with an entry at least.")
    for value in choices:
        if not (value is None or isinstance(value, bool | int | float | str)):
            raise ConvlabError(f"{named}: a choice is a number, a word, true, false or null, not {value}.")
    if len({json.dumps(value) for value in choices}) < len(choices):
        raise ConvlabError(f"{named}: a choice is named twice.")
    return CategoricalDistribution(choices)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _word(value: Value) -> str:
    if isinstance(value, str) and not (PLAIN.fullmatch(value) and value not in ("true", "false", "null")):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return value if isinstance(value, str) else json.dumps(value)
