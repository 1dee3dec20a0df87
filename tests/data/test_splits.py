"""The split is a function of a photo's bytes."""

import hashlib

import pytest

from convlab.base.errors import ConvlabError
from convlab.data.splits import check_shares, class_warnings, split_of


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


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (1.0, 0.0)])
def test_shares_must_leave_something_to_train_on(val, test):
    with pytest.raises(ConvlabError, match=rf"split\.val={val} and split\.test={test}"):
        check_shares(val, test)
    check_shares(0.1, 0.1)
    check_shares(0, 0)


def test_small_classes_and_empty_splits_are_named():
    splits = [("daisy", split) for split in ["train"] * 18 + ["val", "test"]]  # 20: enough
    splits += [("rose", split) for split in ["train"] * 10 + ["val"] * 9]  # 19, and none to test
    assert class_warnings(splits) == [
        "classes with under 20 photos, too few to learn or measure well: rose 19",
        "no photo of rose in test: the split is by content, so small classes can miss one",
    ]
    assert class_warnings(splits[:20]) == []
