"""A command as it can be given again in a shell."""

import shlex
from collections.abc import Iterable


def join(words: Iterable[str]) -> str:
    """As `shlex.join`, but `"data.dir='My photos'"` where that would close and open quotes by turns."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    return f'"{word}"' if "'" in word and not set('"$`\\!') & set(word) else shlex.quote(word)
