"""What was probably meant by a word that is not known."""

import difflib
from collections.abc import Iterable


def near(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'a' or 'b'?` for the closest of `known`, or the empty string."""
    matches = difflib.get_close_matches(word, list(known), n=3, cutoff=0.75)
    return f"Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
