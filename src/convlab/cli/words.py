"""Values of a verb's own words, `name=value`, and numbers in sentences."""

from convlab.base.errors import ConvlabError


def whole_number(name: str, word: str, least: int) -> int:
    """`word` as a number; raises ConvlabError unless it is a whole one of at least `least`."""
    if not word.isdecimal() or int(word) < least:
        raise ConvlabError(f"{name}={word}: expected a whole number, at least {least}.")
    return int(word)


def counted(number: int, noun: str) -> str:
    """`1 run`, `1,234 metrics`: `noun` with or without its s."""
    return f"{number:,} {noun.removesuffix('s')}{'' if number == 1 else 's'}"
