"""MNIST's splits: who is held out, and that nothing depends on what it should not."""

import numpy as np
import pytest
import torch

from convlab.base.errors import ConvlabError
from convlab.data.mnist import Mnist
from convlab.data.preprocessing import Preprocessing

PLAIN = Preprocessing(size=28, channels=1, pixel_mean=(0,), pixel_std=(1,))


@pytest.fixture
def folder(tmp_path, write_idx):
    """200 training images, each filled with its own number, 20 a class; 30 test images."""
    for prefix, count in (("train", 200), ("t10k", 30)):
        images = np.broadcast_to(np.arange(count)[:, None, None], (count, 28, 28))
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    return tmp_path


def numbers(loader):
    return torch.cat([inputs[:, 0, 0, 0] for inputs, _ in loader]).int().tolist()


def test_validation_is_stratified_and_disjoint_from_training(folder):
    data = Mnist(folder, PLAIN, batch_size=32, num_val=50)
    train, val = numbers(data.train_dataloader()), numbers(data.val_dataloader())
    assert sorted(train + val) == list(range(200))
    assert data.labels("val").bincount().tolist() == [5] * 10
    assert data.labels("train").bincount().tolist() == [15] * 10


def test_the_training_seed_changes_the_order_but_not_the_split(folder):
    first, second = (Mnist(folder, PLAIN, batch_size=32, num_val=50, seed=seed) for seed in (1, 2))
    assert numbers(first.val_dataloader()) == numbers(second.val_dataloader())
    assert numbers(first.train_dataloader()) != numbers(second.train_dataloader())
    assert sorted(numbers(first.train_dataloader())) == sorted(numbers(second.train_dataloader()))


def test_the_split_seed_changes_the_split(folder):
    first, second = (Mnist(folder, PLAIN, batch_size=32, num_val=50, split_seed=seed) for seed in (0, 1))
    assert numbers(first.val_dataloader()) != numbers(second.val_dataloader())


def test_test_images_come_from_the_test_files_in_order(folder):
    data = Mnist(folder, PLAIN, batch_size=32, num_val=50)
    assert numbers(data.test_dataloader()) == list(range(30))
    assert data.labels("test").tolist() == [i % 10 for i in range(30)]
    assert np.asarray(data.image("test", 7)).tolist() == [[7] * 28] * 28


def test_the_source_of_an_image_is_its_place_in_its_file(folder):
    """The images are filled with their numbers."""
    whole = Mnist(folder, PLAIN, batch_size=32, num_val=50)
    folded = Mnist(folder, PLAIN, batch_size=32, num_val=50, fold={"index": 1, "count": 2})
    train, test = (f"{folder / name}-images-idx3-ubyte.gz, image " for name in ("train", "t10k"))
    assert whole.source("test", 7) == f"{test}7"
    for data, split in ((whole, "val"), (whole, "train"), (folded, "test")):
        assert data.source(split, 3) == f"{train}{np.asarray(data.image(split, 3))[0, 0]}"


def test_batches_are_normalized(folder):
    data = Mnist(
        folder, Preprocessing(size=28, channels=1, pixel_mean=(10,), pixel_std=(2,), pad=2), 32, num_val=50
    )
    inputs, _ = next(iter(data.test_dataloader()))
    assert inputs.shape == (30, 1, 32, 32)
    assert data.input_shape == (1, 32, 32)
    assert inputs[14, 0, 2, 2] == (14 - 10) / 2
    assert inputs[14, 0, 0, 0] == (0 - 10) / 2


def test_the_data_hash_follows_the_content(folder, write_idx):
    before = Mnist(folder, PLAIN, 32).lineage()["data_hash"]
    assert Mnist(folder, PLAIN, 64).lineage()["data_hash"] == before
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", np.zeros(30))
    assert Mnist(folder, PLAIN, 32).lineage()["data_hash"] != before


@pytest.mark.parametrize("split_seed", [-1, 2**32])
def test_a_seed_that_numpy_lacks_is_refused(folder, split_seed):
    with pytest.raises(ConvlabError, match=f"split_seed={split_seed}: choose 0 to 4294967295"):
        Mnist(folder, PLAIN, batch_size=32, num_val=50, split_seed=split_seed).labels("val")


@pytest.mark.parametrize("num_val", [0, 200])
def test_an_impossible_hold_out_is_refused(folder, num_val):
    with pytest.raises(ConvlabError, match=f"num_val={num_val}"):
        Mnist(folder, PLAIN, 32, num_val=num_val).train_dataloader()


def test_images_without_labels_are_refused(folder, write_idx):
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", np.zeros(29))
    with pytest.raises(ConvlabError, match=r"30 images, t10k-labels-idx1-ubyte\.gz 29 labels"):
        Mnist(folder, PLAIN, 32).test_dataloader()


def test_fewer_images_a_class_are_drawn_by_the_seed(folder):
    def drawn(per_class, seed=1):
        data = Mnist(folder, PLAIN, batch_size=32, num_val=50, per_class=per_class, seed=seed)
        assert data.labels("train").bincount().tolist() == [per_class or 15] * 10
        assert len(data.labels("val")) == 50
        return set(numbers(data.batches("train")))

    assert drawn(3) < drawn(7) < drawn(15) == drawn(None)
    assert drawn(3) == drawn(3) != drawn(3, seed=2)


@pytest.mark.parametrize("per_class", [0, 16])
def test_more_images_a_class_than_there_are_is_refused(folder, per_class):
    message = f"per_class={per_class}: class 0 has 15 training images. Choose 1 to 15"
    with pytest.raises(ConvlabError, match=message):
        Mnist(folder, PLAIN, batch_size=32, num_val=50, per_class=per_class).batches("train")


def test_without_the_files_it_is_said_how_to_get_them(tmp_path):
    with pytest.raises(ConvlabError, match=r"train-images-idx3-ubyte\.gz is missing\. `convlab fetch mnist`"):
        Mnist(tmp_path, PLAIN, 32).lineage()
