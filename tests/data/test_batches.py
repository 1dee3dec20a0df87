"""The order of batches, and going on in the middle of an epoch."""

import torch

from convlab.data.batches import Batches


def batches(shuffle_seed=1, size=10, batch_size=3):
    return Batches(torch.arange(size), torch.arange(size), batch_size, shuffle_seed=shuffle_seed)


def inputs(loader):
    return [batch.tolist() for batch, _ in loader]


def test_without_a_seed_the_order_is_kept_and_the_last_batch_is_short():
    assert len(batches(None)) == 4
    assert inputs(batches(None)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_an_epoch_is_a_permutation_that_depends_on_seed_and_epoch():
    loader = batches()
    first = inputs(loader)
    assert sorted(number for batch in first for number in batch) == list(range(10))
    assert inputs(loader) == first
    loader.set_epoch(1)
    assert inputs(loader) != first
    assert inputs(batches(shuffle_seed=2)) != first


def test_inputs_and_labels_stay_together():
    for batch, labels in batches():
        assert torch.equal(batch, labels)


def test_goes_on_in_the_middle_of_an_epoch():
    whole = batches()
    whole.set_epoch(3)
    expected = inputs(whole)
    stopped = batches()
    stopped.set_epoch(3)
    iterator = iter(stopped)
    seen = [next(iterator)[0].tolist() for _ in range(2)]
    resumed = batches()
    resumed.load_state_dict(stopped.state_dict())
    resumed.set_epoch(3)  # Lightning announces the epoch again
    assert seen + inputs(resumed) == expected


def test_processes_share_a_batch_without_repeating_or_dropping():
    alone = inputs(batches())
    parts = [list(batches().shared(rank, 3)) for rank in range(3)]
    for number, whole in enumerate(alone):
        shares = [(batch.tolist(), share) for batch, labels, share in (part[number] for part in parts)]
        taken = [image for images, share in shares if share for image in images]
        assert sorted(taken) == sorted(whole)
        assert sum(share for _, share in shares) == 3  # so that the mean over processes is that of the batch
        assert all(images for images, _ in shares)
    assert [share for *_, share in parts[1]] == [1, 1, 1, 0]  # the last batch has one image


def test_the_transform_sees_each_batch():
    loader = Batches(torch.arange(4), torch.zeros(4), 2, transform=lambda batch: batch * 10)
    assert inputs(loader) == [[0, 10], [20, 30]]


class TestAugmentation:
    @staticmethod
    def loader(shuffle_seed=1):
        def add_noise(batch, generator):
            return batch + torch.rand(len(batch), generator=generator)

        return Batches(torch.zeros(10), torch.arange(10), 3, shuffle_seed=shuffle_seed, augment=add_noise)

    def test_each_batch_of_each_epoch_has_its_own_random_numbers(self):
        loader = self.loader()
        first = inputs(loader)
        assert inputs(loader) == first
        loader.set_epoch(1)
        second = inputs(loader)
        numbers = [number for batch in first + second for number in batch]
        assert len(set(numbers)) == 20

    def test_goes_on_in_the_middle_of_an_epoch(self):
        expected = inputs(self.loader())
        resumed = self.loader()
        resumed.load_state_dict({"epoch": 0, "next": 2})
        assert inputs(resumed) == expected[2:]

    def test_evaluation_sees_the_images_themselves(self):
        assert inputs(self.loader(shuffle_seed=None)) == [[0, 0, 0]] * 3 + [[0]]
