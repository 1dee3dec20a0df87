"""The one exception that a user is meant to read, and what was probably meant."""

from collections.abc import Iterable


class ConvlabError(Exception):
    """Something the user can mend. The message names the offending value and the way out.

    The command line prints it without a traceback and exits with status 1.
    """


def near(word: str, known: Iterable[str], most: int = 3, cutoff: float = 0.6) -> str:
    """`Did you mean 'a' or 'b'?` for the closest of `known`, or the empty string."""
    import difflib  # when something is wrong already: every start would pay for it

    matches = difflib.get_close_matches(word, list(known), most, cutoff)
    return f"Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
