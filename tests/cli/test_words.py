"""Values of a verb's own words."""

import pytest

from convlab.base.errors import ConvlabError
from convlab.cli.words import whole_number


@pytest.mark.parametrize("word", ["1", "-3", "2.0", "x", ""])
def test_what_is_no_such_number_is_refused(word):
    with pytest.raises(ConvlabError, match=f"folds={word}: expected a whole number, at least 2"):
        whole_number("folds", word, 2)


def test_the_least_is_enough():
    assert whole_number("folds", "2", 2) == 2
