"""Which folders divide a set, and which are classes."""

from pathlib import Path

import pytest

from convlab.base.errors import ConvlabError
from convlab.data.divided import Place, places

ROOT = Path("photos")


def read(*paths: str) -> list[Place]:
    place = places(ROOT, paths)
    return [place(path) for path in paths]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Train", "Valid", "Test"),
        ("TRAINING", "VALIDATION", "TESTING"),
        ("training_set", "dev_set", "test_set"),
        ("trainset", "valset", "testset"),
        ("TrainingData", "ValidationData", "TestData"),
        ("train2017", "val2017", "test2017"),
        ("seg_train", "seg_val", "seg_test"),
        ("images-train", "images-eval", "images-test"),
        ("1 train", "2 validation", "3 test"),
    ],
)
def test_every_usual_spelling_is_a_split(train, val, test):
    paths = [f"{train}/rose/1.jpg", f"{val}/rose/2.jpg", f"{test}/daisy/deep/er/3.jpg"]
    assert read(*paths) == [("rose", "train"), ("rose", "val"), ("daisy", "test")]
    inside = [f"rose/{train}/1.jpg", f"rose/{val}/2.jpg", f"daisy/{test}/deep/3.jpg", f"daisy/{train}/4.jpg"]
    assert read(*inside) == [("rose", "train"), ("rose", "val"), ("daisy", "test"), ("daisy", "train")]


def test_a_split_may_be_missing_or_stand_in_two_spellings():
    assert read("train/rose/1.jpg", "test/rose/2.jpg") == [("rose", "train"), ("rose", "test")]
    assert read("train/a/1.jpg", "training/a/2.jpg", "val/b/3.jpg") == [
        ("a", "train"),
        ("a", "train"),
        ("b", "val"),
    ]


def test_archives_that_unpack_a_folder_into_itself():
    paths = ["seg_train/seg_train/sea/1.jpg", "seg_test/seg_test/sea/2.jpg"]
    assert read(*paths) == [("sea", "train"), ("sea", "test")]


@pytest.mark.parametrize(
    "names",
    [
        ("train", "bus", "car"),  # what carries people
        ("test", "control"),
        ("train station", "test tube"),  # these share no other words
        ("val", "test"),  # nothing to train on
        ("eval", "dev"),
        ("train_val", "other"),
    ],
)
def test_classes_stay_classes(names):
    paths = [f"{name}/sub/{number}.jpg" for number, name in enumerate(names)]
    assert read(*paths) == [(name, None) for name in names]
    assert read(*(f"{name}/1.jpg" for name in names)) == [(name, None) for name in names]


def test_a_sub_folder_named_as_a_split_in_one_class_divides_nothing():
    paths = ["rose/train/1.jpg", "rose/test/2.jpg", "daisy/3.jpg"]
    assert read(*paths) == [("rose", None), ("rose", None), ("daisy", None)]


def test_photos_in_a_split_but_in_no_class_have_none():
    paths = ["train/cat/1.jpg", "train/dog/2.jpg", "test/3.jpg"]
    assert read(*paths) == [("cat", "train"), ("dog", "train"), (None, "test")]


def test_folders_without_photos_beside_the_splits_are_none_of_its_business():
    photos = ["train/cat/1.jpg", "test/cat/2.jpg"]
    place = places(ROOT, photos)
    assert place("annotations/labels.csv") == place("empty/") == (None, None)
    assert place("train/notes.txt") == (None, "train")


def test_splits_beside_other_folders_are_refused():
    with pytest.raises(ConvlabError, match=r"test, train divide the photos, yet cat, dog beside them"):
        read("train/a/1.jpg", "test/a/1.jpg", "cat/1.jpg", "dog/1.jpg")


def test_splits_without_classes_are_refused():
    with pytest.raises(ConvlabError, match=r"no class folders\. Expected photos/test/<class>/<photo>\.jpg"):
        read("train/1.jpg", "test/2.jpg")
