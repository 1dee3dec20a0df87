"""The split is a function of a photo's bytes."""

import hashlib

import pytest

from convlab.base.errors import ConvlabError
from convlab.data.photo_warnings import class_warnings
from convlab.data.photos import Photo
from convlab.data.splits import assign, split_of


def test_the_split_by_hand():
    """The leading digits are a fraction in base 16: 0.2 is 0.333..., 0.3 is 0.4ccc..."""
    for start, split in [
        ("0", "test"),
        ("33", "test"),
        ("34", "val"),
        ("4c", "val"),
        ("4d", "train"),
        ("f", "train"),
    ]:
        assert split_of(start.ljust(64, "0"), val=0.1, test=0.2) == split
    assert split_of("0" * 64, val=0.1, test=0.0) == "val"
    assert split_of("f" * 64, val=0.0, test=0.0) == "train"


def test_the_split_keeps_its_shares_and_its_members():
    hashes = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(4000)]
    splits = [split_of(h, val=0.1, test=0.2) for h in hashes]
    # standard deviations: sqrt(4000 * 0.2 * 0.8) = 25 and sqrt(4000 * 0.1 * 0.9) = 19
    assert abs(splits.count("test") - 800) < 4 * 25
    assert abs(splits.count("val") - 400) < 4 * 19
    grown = [split_of(h, val=0.2, test=0.2) for h in hashes]
    assert all(new == old for old, new in zip(splits, grown, strict=True) if old != "train")


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (1.0, 0.0), (0.1, None)])
def test_shares_must_leave_something_to_train_on(val, test):
    shown = "null" if test is None else test
    with pytest.raises(
        ConvlabError, match=rf"data\.split\.val={val} and data\.split\.test={shown}: expected"
    ):
        assign((), {"val": val, "test": test})
    for shares in ({"val": 0.1, "test": 0.1}, {"val": 0, "test": 0}):
        assert assign((), shares) == []


def test_small_classes_and_empty_splits_are_named():
    splits = [("daisy", split) for split in ["train"] * 18 + ["val", "test"]]  # 20: enough
    splits += [("rose", split) for split in ["train"] * 10 + ["val"] * 9]  # 19, and none to test
    assert class_warnings(splits) == [
        "classes with under 20 photos, too few to learn or measure well: rose 19",
        "no photo of rose in test: what is learnt or measured there says nothing of it",
    ]
    assert class_warnings(splits[:20]) == []


def photos(number: int, class_name: str = "rose", split: str | None = None, start: int = 0) -> list[Photo]:
    hashes = [hashlib.sha256(f"{class_name} {i}".encode()).hexdigest() for i in range(start, start + number)]
    return [Photo(each, class_name, f"{class_name}/{each}.jpg", split) for each in hashes]


def counts(found: list[Photo], splits: list[str]) -> dict[tuple[str, str], int]:
    pairs = [(photo.class_name, split) for photo, split in zip(found, splits, strict=True)]
    return {pair: pairs.count(pair) for pair in sorted(set(pairs))}


def test_stratified_cuts_every_class_at_the_same_shares():
    found = [*photos(60, "a"), *photos(22, "b"), *photos(8, "c"), *photos(3, "d"), *photos(2, "e")]
    assert counts(found, assign(found, {"val": 0.1, "test": 0.2, "stratified": True})) == {
        **{("a", "test"): 12, ("a", "train"): 42, ("a", "val"): 6},
        **{("b", "test"): 4, ("b", "train"): 15, ("b", "val"): 3},  # cuts at 4.4 and 6.6
        **{("c", "test"): 2, ("c", "train"): 5, ("c", "val"): 1},  # cuts at 1.6 and 2.4
        **{("d", "test"): 1, ("d", "train"): 1, ("d", "val"): 1},
        **{("e", "train"): 1, ("e", "val"): 1},  # cuts at 0.4 and 0.6
    }


def test_adding_a_photo_moves_at_most_one_across_each_cut_of_its_class():
    shares = {"val": 0.1, "test": 0.2, "stratified": True}
    other = photos(30, "daisy")
    for number in range(20, 120):
        before, after = photos(number), photos(number + 1)
        one = assign([*before, *other], shares)
        two = assign([*after, *other], shares)
        moved = sum(old != new for old, new in zip(one[:number], two, strict=False))
        assert moved <= 2
        assert one[number:] == two[number + 1 :]


def test_a_division_is_kept_and_what_it_lacks_is_taken_from_training():
    found = [*photos(400, split="train"), *photos(10, split="test", start=400)]
    splits = assign(found, {"val": 0.1, "test": 0.2})
    assert splits[400:] == ["test"] * 10
    expected = [split_of(photo.content_hash, 0.1, 0.0) for photo in found[:400]]
    assert splits[:400] == expected
    assert 20 < expected.count("val") < 60


def test_a_content_in_two_classes_is_on_one_side_only():
    same = photos(40)
    twins = [Photo(photo.content_hash, "other", photo.path) for photo in same]
    splits = assign([*same, *twins, *photos(7, "other")], {"val": 0.2, "test": 0.2, "stratified": True})
    assert splits[:40] == splits[40:80]
