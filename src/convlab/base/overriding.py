"""The words of a command line as Hydra reads them: `key=value`, `+key=value`, `key=a,b`."""

import math
import re
from collections.abc import Iterable

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from convlab.base.errors import ConvlabError

PLAIN = re.compile(r"""[^][{}()'",=]+""")  # text that means nothing to Hydra but itself


def readable(overrides: Iterable[str]) -> list[str]:
    """The same words, with quotes around plain text that Hydra's grammar does not take: `name=grüße`."""
    return [word if _parses(word) else _quoted(word) for word in overrides]


def _quoted(word: str) -> str:
    key, equals, value = word.partition("=")
    parts = [
        f'"{part}"' if PLAIN.fullmatch(part) and not _parses(f"x={part}") else part
        for part in value.split(",")
    ]
    quoted = f"{key}{equals}{','.join(parts)}"
    return quoted if _parses(quoted) else word


def _parses(word: str) -> bool:
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def word(key: str, value: str) -> str:
    """The word that gives `key` this very text, whatever Hydra would read into it: a number, a list."""
    plain = f"{key}={value}"
    if _parses(readable([plain])[0]) and parse([plain])[0].value() == value:
        return plain
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return f"{key}='{escaped}'"


def parse(overrides: Iterable[str]) -> list[Override]:
    """Hydra's own parse of `key=value` words; raises ConvlabError for a word that is not one."""
    parsed = []
    for word in readable(overrides):
        try:
            parsed.append(OverridesParser.create().parse_override(word))
        except HydraException:
            raise ConvlabError(
                f"'{word}' is not an override. Write key=value, for instance "
                "experiment=lenet or trainer.max_epochs=3."
            ) from None
    return parsed


def values(override: Override) -> list[str]:
    """The values that `override` gives its key: several where it sweeps, or chooses a list of a group."""
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    value = override.value()
    return [str(each) for each in value] if isinstance(value, list) else [override.get_value_element_as_str()]


def first_value(override: Override) -> str:
    """`override` as a word, cut to the first value if it sweeps over several."""
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def number_of_jobs(overrides: Iterable[Override]) -> int:
    """How many combinations they make; 0 where a sweeper of one's own decides."""
    if any(override.key_or_group == "hydra/sweeper" for override in overrides):
        return 0
    return math.prod(len(values(override)) for override in overrides if override.is_sweep_override())


def own_words(words: list[str], names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Take a verb's own `name=value` words out of its overrides; the last of a name counts."""
    parts = {word: word.partition("=") for word in words}
    own = {name: value for name, _, value in parts.values() if name in set(names)}
    return own, [word for word, (name, _, _) in parts.items() if name not in own]
