"""Commands survive the shell, and texts Hydra."""

import shlex

import pytest

from convlab.base import overriding, shell


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


@pytest.mark.parametrize(
    "text",
    ["birds", "2024", "1e3", "null", "true", "My photos (2026)", "it's", "[a, b]", "a=b", "grüße", "\\'x"],
)
def test_a_word_gives_its_key_the_very_text(text):
    [found] = overriding.parse([overriding.word("data.dir", text)])
    assert found.value() == text
    assert isinstance(found.value(), str)
