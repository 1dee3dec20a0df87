"""What was probably meant."""

from convlab.base.errors import near


def test_the_closest_are_named_best_first():
    assert near("lenets", ["vgg", "lenet", "lenet55"]) == "Did you mean 'lenet' or 'lenet55'?"
    assert near("lenets", ["vgg", "lenet", "lenet55"], most=1) == "Did you mean 'lenet'?"


def test_nothing_is_guessed_far_away():
    assert near("lenet", ["vgg"]) == ""
    assert near("abcd", ["abxy"], cutoff=0.5) == "Did you mean 'abxy'?"  # half of the letters agree
    assert near("abcd", ["abxy"]) == ""
