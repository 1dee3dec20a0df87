"""Batches: who goes together, and that each gets the row of its own image."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np

from convlab.serving.batching import MAX_BATCH, Batcher


def answered(num, predict=lambda images: images[:, 0, 0, :1] * 2, cancelled=()):
    """Results (or exceptions) of `num` images, whose only value is their number, and the batches' sizes."""
    sizes = []

    async def ask():
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(predict, executor, sizes.append)
            asked = [asyncio.create_task(batcher(np.full((1, 1, 1), number))) for number in range(num)]
            await asyncio.sleep(0)
            for number in cancelled:
                asked[number].cancel()
            running = asyncio.create_task(batcher.run())
            found = await asyncio.gather(*asked, return_exceptions=True)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        return found

    return asyncio.run(ask()), sizes


def test_each_gets_its_own_row_from_full_batches():
    found, sizes = answered(40)
    assert [int(row[0]) for row in found] == [2 * number for number in range(40)]
    assert sizes == [MAX_BATCH, MAX_BATCH, 8]


def test_who_gave_up_is_left_out():
    found, sizes = answered(5, cancelled=(1, 3))
    assert sizes == [3]
    assert [int(found[number][0]) for number in (0, 2, 4)] == [0, 4, 8]
    assert all(isinstance(found[number], asyncio.CancelledError) for number in (1, 3))


def test_an_error_reaches_all_of_its_batch_and_no_other():
    def predict(images):
        if images.min() == 0:
            raise ValueError("the first batch")
        return images[:, 0, 0, :1] * 2

    found, sizes = answered(MAX_BATCH + 2, predict)
    assert sizes == [MAX_BATCH, 2]
    assert all(str(each) == "the first batch" for each in found[:MAX_BATCH])
    assert [int(row[0]) for row in found[MAX_BATCH:]] == [32, 34]
