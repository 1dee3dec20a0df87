"""Nested settings: their leaves and the classes that they name."""

from convlab.base.trees import first_names, flat, present_names, targets

OLD = {
    "module": {"_target_": "x.Y", "parts": [{"_target_": "convlab.preprocessing.Preprocessing", "size": 28}]}
}
NOW = {
    "module": {
        "_target_": "x.Y",
        "parts": [{"_target_": "convlab.data.preprocessing.Preprocessing", "size": 28}],
    }
}


def test_leaves_have_dotted_paths():
    assert flat({"a": {"b": 1, "c": {}}, "d": [2]}) == {"a.b": 1, "a.c": {}, "d": [2]}


def test_targets_are_found_at_any_depth():
    assert list(targets(OLD)) == ["x.Y", "convlab.preprocessing.Preprocessing"]


def test_a_class_that_moved_is_found_and_hashed_as_before():
    assert present_names(OLD) == NOW
    assert first_names(NOW) == OLD
