"""Commands survive the shell."""

import shlex

import pytest

from convlab.base import shell


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("lr=0.1", "lr=0.1"),
        ("data.dir='My photos'", "\"data.dir='My photos'\""),
        ("name=two words", "'name=two words'"),
        ("x='$HOME'", None),
        ("x='\"'", None),
        ("x='a!b`c\\'", None),
    ],
)
def test_a_word_comes_back(word, shown):
    joined = shell.join(["convlab", word])
    assert shlex.split(joined) == ["convlab", word]
    if shown:
        assert joined == f"convlab {shown}"
