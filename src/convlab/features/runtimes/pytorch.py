"""PyTorch itself: timm's modules as they are, or compiled; on a GPU if there is one.

Single precision throughout: of a product's factors, TF32 and half precision keep ten bits, bfloat16 seven.
On a GPU (H200, cuDNN) Inception-v3's vectors of flowers are then 2.2e-3, 2.8e-3 and 2.9e-2 off, more than
check.TOLERANCE. So TF32 and automatic mixed precision stay off, though they would be three times as fast.
"""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

from convlab.base.errors import ConvlabError
from convlab.features.runtimes.runtime import Runtime
from convlab.features.runtimes.work import Work

if TYPE_CHECKING:
    from torch import Tensor


def plain(work: Work) -> Runtime:
    """timm's modules as they are, on the CPU: what every other runtime is checked against."""
    import torch

    return Runtime("torch", torch.inference_mode()(work.network.__call__))


def eager(work: Work) -> Runtime:
    """The same on the GPU, if there is one. Not channels_last: in single precision cuDNN is slower so."""
    import torch

    if not torch.cuda.is_available():
        return plain(work)
    return Runtime("torch", _on_gpu(copy.deepcopy(work.network).cuda(), work.batch_size))


def compiled(work: Work) -> Runtime:
    """torch.compile with its weights frozen in: batch norms are folded, layers fused.

    Compiled once, for one batch size: a smaller batch is filled up with black images. The first call takes
    about a minute, and on the CPU a C++ compiler.
    """
    import torch
    import torch._inductor.config

    on_gpu = torch.cuda.is_available()
    network = copy.deepcopy(work.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fast: Callable[[Tensor], Tensor] = torch.compile(network.to("cuda" if on_gpu else "cpu"), dynamic=False)
    forward = _on_gpu(fast, work.batch_size) if on_gpu else torch.inference_mode()(fast)
    filling = work.example(min(work.batch_size, work.num_images))

    def filled(pixels: "Tensor") -> "Tensor":
        with torch._inductor.config.patch(freezing=True):  # as torch.compile's option, it leaves weights out
            if len(pixels) == len(filling):
                return forward(pixels)
            return forward(torch.cat([pixels, filling[len(pixels) :]]))[: len(pixels)]

    return Runtime("compile", filled)


def _on_gpu(network: "Callable[[Tensor], Tensor]", batch_size: int) -> "Callable[[Tensor], Tensor]":
    """Pixels from pinned memory, vectors back; the same bytes each time.

    Raises ConvlabError where a batch is too large for the GPU.
    """
    import torch

    def forward(pixels: "Tensor") -> "Tensor":
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            try:
                return network(pixels.pin_memory().to("cuda", non_blocking=True)).cpu()
            except torch.cuda.OutOfMemoryError:
                raise ConvlabError(
                    f"batches of {batch_size} images don't fit into the GPU's memory: give batch_size="
                    f"{max(1, batch_size // 2)}, or less."
                ) from None

    return forward
