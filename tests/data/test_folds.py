"""Folds by content: even over classes, blind to order and place, and never the same image on both sides."""

import hashlib
from collections import Counter

import numpy as np
import pytest
import torch

from convlab.base.errors import ConvlabError
from convlab.data.folds import deal, hold_out
from convlab.data.mnist import Mnist
from convlab.data.preprocessing import Preprocessing


def test_each_class_is_dealt_out_in_the_order_of_its_hashes():
    # class 0 holds b a c e d, class 1 holds g f: a b c d e go to 1 2 3 1 2, then f g to 3 1
    contents, labels = ["b", "a", "g", "c", "e", "f", "d"], [0, 0, 1, 0, 0, 1, 0]
    assert deal(contents, labels, 3).tolist() == [2, 1, 1, 3, 2, 3, 1]


def test_folds_follow_content_not_order_and_keep_copies_together():
    hashes = [hashlib.sha256(bytes([n])).hexdigest() for n in range(200)]
    labels = [n % 3 for n in range(200)]
    dealt = deal(hashes, labels, 5)
    order = np.random.default_rng(0).permutation(200)
    moved = deal([hashes[i] for i in order], [labels[i] for i in order], 5)
    assert moved.tolist() == dealt[order].tolist()
    counts = Counter(zip(labels, dealt.tolist(), strict=True))
    assert max(counts.values()) - min(counts.values()) == 1  # 67, 67 and 66 images of a class, in five folds
    assert set(Counter(dealt.tolist()).values()) == {40}
    twice = deal([*hashes, hashes[7]], [*labels, labels[7]], 5)
    assert twice[-1] == dealt[7]


def test_a_fold_takes_from_training_and_validation_alone():
    rows = {"train": np.array([0, 2, 4, 5]), "val": np.array([1, 6]), "test": np.array([3, 7])}
    contents = [*"abcdefgh"]
    folded = hold_out(rows, contents, [0] * 8, {"index": 1, "count": 2})  # a b c e f g: 1 2 1 2 1 2
    assert {split: each.tolist() for split, each in folded.items()} == {
        "train": [4],
        "val": [1, 6],
        "test": [0, 2, 5],
    }


@pytest.mark.parametrize(
    "fold",
    [
        {"index": 0, "count": 5},
        {"index": 6, "count": 5},
        {"index": 1, "count": 1},
        {"index": 1.5, "count": 3},
        {"count": 3},
        1,
    ],
)
def test_what_is_no_fold_is_refused(fold):
    rows = {"train": np.array([0]), "val": np.array([1]), "test": np.array([2])}
    with pytest.raises(ConvlabError, match=r"data\.module\.fold=.*count at least 2"):
        hold_out(rows, [*"abc"], [0, 0, 0], fold)


def test_a_split_that_a_fold_empties_is_explained():
    rows = {"train": np.array([0, 2]), "val": np.array([1]), "test": np.array([3])}
    with pytest.raises(ConvlabError, match="no image is left for the val split"):
        hold_out(rows, [*"abcd"], [0] * 4, {"index": 2, "count": 3})


@pytest.fixture
def digits(tmp_path, write_idx):
    random = np.random.default_rng(1)
    for part, count in (("train", 120), ("t10k", 20)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", random.integers(0, 256, (count, 28, 28)))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    return tmp_path


def images(data, split):
    return [image.numpy().tobytes() for image in data._split(split)[0]]


def test_over_all_folds_each_training_image_of_mnist_is_measured_once(digits):
    preprocessing = Preprocessing(size=28, channels=1, pixel_mean=[0], pixel_std=[1])
    plain = Mnist(str(digits), preprocessing, batch_size=8, num_val=30)
    pool = sorted(images(plain, "train") + images(plain, "val"))
    measured = []
    for index in (1, 2, 3, 4):
        fold = {"index": index, "count": 4}
        data = Mnist(str(digits), preprocessing, batch_size=8, num_val=30, fold=fold)
        held = images(data, "test")
        assert torch.equal(
            data.labels("test").bincount(), torch.full((10,), 3)
        )  # twelve of each in four folds
        assert set(images(data, "train")) == set(images(plain, "train")) - set(held)
        assert set(images(data, "val")) == set(images(plain, "val")) - set(held)
        measured += held
    assert sorted(measured) == pool
    assert not set(measured) & set(images(plain, "test"))
