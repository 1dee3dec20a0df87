"""Build a part of the configuration, `_target_` and its arguments: the one place that instantiates.

What goes wrong is one line: the part's key, its class, the value, and what is expected.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Optional, get_type_hints

from convlab.base import own_code
from convlab.base.errors import ConvlabError, near
from convlab.base.files import unwritten
from convlab.base.kinds import shown
from convlab.base.project import project_dir

WHOLE = (int, int | None, Optional[int])  # noqa: UP045  as others' classes write it


def instantiate(part: Mapping[str, Any], key: str, **arguments: Any) -> Any:
    """What `part` describes; `arguments` are added to its own.

    key: where the part stands in the configuration (`optimizer`), for errors. Of a part that says
    `_partial_: true` a function comes back, whose errors are reported in the same way. Lists and dicts
    arrive as such. Raises ConvlabError if the class can't be found, does not take an argument, or refuses a
    value; a ConvlabError that it raises itself is passed on.
    """
    from hydra.errors import HydraException
    from hydra.utils import instantiate as build

    own_code.make_importable(part)
    _check_whole_numbers(part, key)
    try:
        made = build(dict(part), _convert_="all", **arguments)
    except HydraException as error:
        raise _explained(error, part, key) from error
    return _late(made, part, key) if part.get("_partial_") else made


def _check_whole_numbers(part: Mapping[str, Any], key: str) -> None:
    """Refuse what is no whole number where the class, or that of a part within, says `int`.

    Else it would be noticed long after, in the middle of something else.
    """
    kinds = _annotations(str(part.get("_target_"))) if "_target_" in part else {}
    for name, value in part.items():
        if isinstance(value, Mapping):
            _check_whole_numbers(value, f"{key}.{name}")
        elif kinds.get(name) in WHOLE and not _fits(value, kinds[name]):
            raise ConvlabError(f"{key}.{name}={shown(value)}: expected a whole number.")


def _fits(value: Any, kind: Any) -> bool:
    """Whether it is what tensors and files hold: a whole number of 64 bits; None where that is allowed."""
    if value is None:
        return kind is not int
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _annotations(target: str) -> dict[str, Any]:
    """The types of `target`'s arguments; {} where it can't be found, which is said later."""
    from hydra.utils import get_object

    try:
        found = get_object(target)
        named: dict[str, Any] = get_type_hints(found.__init__ if inspect.isclass(found) else found)
    except Exception:
        return {}
    return named


def _late(made: Callable[..., Any], part: Mapping[str, Any], key: str) -> Callable[..., Any]:
    """`made`, whose arguments are only checked once it is called."""

    def call(*positional: Any, **named: Any) -> Any:
        try:
            return made(*positional, **named)
        except ConvlabError:
            raise
        except (TypeError, ValueError) as error:
            raise _refused(error, part, key) from error

    # what asks for its signature or its keywords is told those of the part
    vars(call).update(__wrapped__=made, keywords=getattr(made, "keywords", {}))
    return call


def _explained(error: Exception, part: Mapping[str, Any], key: str) -> ConvlabError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConvlabError):
            return cause
        if (told := unwritten(cause, project_dir())) is not None:
            return told
        if isinstance(cause, ImportError):
            return _not_found(cause, part, key)
        last, cause = cause, cause.__cause__
    if last is error:  # Hydra's own refusal
        return ConvlabError(f"{key}: {str(error).splitlines()[0]}")
    return _refused(last, part, key)


def _not_found(error: ImportError, part: Mapping[str, Any], key: str) -> ConvlabError:
    missing = getattr(error, "name", None)
    why = str(error).strip().splitlines()[-1 if missing is None else 0].rstrip(".")
    why += "" if why.endswith("?") else "."
    return ConvlabError(f"{key}._target_={part.get('_target_')} could not be loaded: {why}")


def _refused(error: BaseException, part: Mapping[str, Any], key: str) -> ConvlabError:
    """The class took offence at an argument: name it where it can be told."""
    target = str(part.get("_target_"))
    known = _parameters(target)
    unknown = [name for name in part if not name.startswith("_") and known and name not in known]
    if unknown:
        hint = near(unknown[0], known) or f"It takes {', '.join(known)}."
        return ConvlabError(f"{key}.{unknown[0]}: {target} has no such argument. {hint}")
    settings = ", ".join(f"{key}.{name}={value}" for name, value in part.items() if not name.startswith("_"))
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return ConvlabError(f"{target} refuses its settings ({reason}): {settings or key}.")


def _parameters(target: str) -> list[str]:
    """The names of the arguments that `target` takes; [] where any is taken, or none can be told."""
    from hydra.utils import get_object

    try:
        parameters = inspect.signature(get_object(target)).parameters
    except Exception:  # not to be found, or without a signature: the first error is reported instead
        return []
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return []
    return [name for name in parameters if name != "self"]
