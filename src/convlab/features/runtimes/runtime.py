"""A forward pass that goes on in threads of its own while its caller prepares the next batch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Runtime:
    """Called with pixels uint8 n c h w, it starts, and returns what waits for the vectors float32 n d.

    Args:
        name: as in choice.RUNTIMES.
        forward: pixels -> vectors; must be safe to call from `num_threads` threads at once.
        num_threads: None for a library that spreads one batch over the cores by itself. A number: the images
            go one by one to so many threads, which then need not wait for each other at every layer, and a
            vector does not depend on the batch it is in.
    """

    def __init__(
        self, name: str, forward: "Callable[[Tensor], Tensor]", num_threads: int | None = None
    ) -> None:
        self.name = name
        self._forward = forward
        self._one_by_one = num_threads is not None
        self._pool = ThreadPoolExecutor(num_threads or 1, thread_name_prefix=name)

    def __call__(self, pixels: "Tensor") -> "Callable[[], Tensor]":
        import torch

        pieces = pixels.split(1) if self._one_by_one else [pixels]
        futures = [self._pool.submit(self._forward, piece) for piece in pieces]
        return lambda: torch.cat([future.result() for future in futures])
