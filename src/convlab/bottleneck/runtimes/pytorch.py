"""PyTorch itself: timm's modules as they are, or compiled; on a GPU if there is one.

Single precision throughout: of a product's factors, TF32 and half precision keep ten bits, bfloat16 seven.
Inception-v3's vectors of flowers are then 1.5e-3, 1.9e-3 and 2e-2 off, more than check.TOLERANCE. So TF32 and
automatic mixed precision stay off.
"""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

from convlab.bottleneck.runtimes.runtime import Runtime
from convlab.bottleneck.runtimes.work import Work

if TYPE_CHECKING:
    from torch import Tensor, nn


def plain(work: Work) -> Runtime:
    """timm's modules as they are, on the CPU: what every other runtime is checked against."""
    import torch

    return Runtime("torch", torch.inference_mode()(work.network.__call__))


def eager(work: Work) -> Runtime:
    """The same on the GPU, if there is one."""
    import torch

    if not torch.cuda.is_available():
        return plain(work)
    return Runtime("torch", _on_gpu(_channels_last(work.network).cuda()))


def compiled(work: Work) -> Runtime:
    """torch.compile with its weights frozen in: batch norms are folded, layers fused.

    Compiled once, for one batch size: a smaller batch is filled up with black images. The first call takes
    about a minute, and on the CPU a C++ compiler.
    """
    import torch
    import torch._inductor.config

    on_gpu = torch.cuda.is_available()
    network = _channels_last(work.network).to("cuda" if on_gpu else "cpu")
    fast: Callable[[Tensor], Tensor] = torch.compile(network, dynamic=False)
    forward = _on_gpu(fast) if on_gpu else torch.inference_mode()(fast)
    filling = work.example(min(work.batch_size, work.num_images))

    def filled(pixels: "Tensor") -> "Tensor":
        with torch._inductor.config.patch(freezing=True):  # as torch.compile's option, it leaves weights out
            return forward(torch.cat([pixels, filling[len(pixels) :]]))[: len(pixels)]

    return Runtime("compile", filled)


def _channels_last(network: "nn.Module") -> "nn.Module":
    import torch

    return copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _on_gpu(network: "Callable[[Tensor], Tensor]") -> "Callable[[Tensor], Tensor]":
    """Pixels from pinned memory, vectors back; the same bytes each time."""
    import torch

    def forward(pixels: "Tensor") -> "Tensor":
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            return network(pixels.pin_memory().to("cuda", non_blocking=True)).cpu()

    return forward
