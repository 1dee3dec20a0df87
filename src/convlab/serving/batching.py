"""Requests that arrive together are predicted together."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MAX_BATCH = 16  # images
MAX_WAIT_S = 0.002  # for others to join the first; while a batch is computed the next one gathers anyway


class Batcher:
    """Collects single images into batches for `predict`, which runs in `executor`, one batch at a time.

    predict: images n c h w to n rows. note: told the size of each batch. How many images can be waiting is
    the caller's to bound. `run` must be running for anything to be answered.
    """

    def __init__(
        self, predict: Callable[[Array], Array], executor: Executor, note: Callable[[int], None]
    ) -> None:
        self._predict, self._executor, self._note = predict, executor, note
        self._waiting: asyncio.Queue[tuple[Array, asyncio.Future[Array]]] = asyncio.Queue()

    async def __call__(self, image: Array) -> Array:
        """The row of one image c h w. Cancelled while it waits, it is left out of the batch."""
        row: asyncio.Future[Array] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((image, row))
        return await row

    async def run(self) -> None:
        """Answer until cancelled. What `predict` raises, the images of that batch raise."""
        while True:
            batch = [await self._waiting.get()]
            if self._waiting.qsize() < MAX_BATCH - 1:
                await asyncio.sleep(MAX_WAIT_S)
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            batch = [(image, row) for image, row in batch if not row.done()]
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[tuple[Array, asyncio.Future[Array]]]) -> None:
        self._note(len(batch))
        images = np.stack([image for image, _ in batch])
        try:
            rows = await asyncio.get_running_loop().run_in_executor(self._executor, self._predict, images)
        except Exception as error:  # whatever it is, the server goes on, and those who wait must hear of it
            for _, row in batch:
                if not row.done():
                    row.set_exception(error)
            return
        for (_, row), found in zip(batch, rows, strict=True):
            if not row.done():
                row.set_result(found)
