"""Which runtime computes: the one that `backbone.runtime` names, or what suits the work (`auto`)."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError
from convlab.features.runtimes.check import Checked, first_line
from convlab.features.runtimes.onnx_runtime import onnx_runtime
from convlab.features.runtimes.openvino_runtime import openvino_runtime
from convlab.features.runtimes.pytorch import compiled, eager, plain
from convlab.features.runtimes.runtime import Runtime
from convlab.features.runtimes.work import Work

if TYPE_CHECKING:
    from torch import Tensor

RUNTIMES: dict[str, Callable[[Work], Runtime]] = {
    "torch": eager,
    "compile": compiled,
    "onnxruntime": onnx_runtime,
    "openvino": openvino_runtime,
}
PACKAGES = {  # how to get what a runtime needs,
    "onnxruntime": "pip install 'convlab[export]'",
    "openvino": "pip install 'convlab[openvino]'",
}
_EXPORT = ("onnx", "onnxscript")  # which each of them starts from
# Below so much work on a CPU another runtime would not make up for its start: 90 images through Inception-v3,
# whose export takes the time of 80 in plain torch.
EXPORT_FLOP = 1e12


def make_runtime(name: str, work: Work) -> "Callable[[Tensor], Callable[[], Tensor]]":
    """Say on the screen what computes, and why. Raises ConvlabError for a wrong name or missing package."""
    import torch

    chosen, reason = choose(work) if name == "auto" else (name, f"backbone.runtime={name}")
    if chosen not in RUNTIMES:
        raise ConvlabError(f"backbone.runtime={name} is not known. There is: auto, {', '.join(RUNTIMES)}.")
    if not installed(chosen):
        raise ConvlabError(
            f"backbone.runtime={chosen} needs the package {chosen}, which is not installed: "
            f"{PACKAGES[chosen]}. Or leave the choice to backbone.runtime=auto."
        )
    console.print(f"runtime: {chosen} ({reason})", markup=False)
    reference = plain(work)
    if chosen == "torch" and not torch.cuda.is_available():
        return reference
    try:
        return Checked(RUNTIMES[chosen](work), reference)
    except ConvlabError:
        raise
    except Exception as error:  # of any library, about any architecture
        warn(
            f"runtime {chosen} can't run {work.backbone.name}: {first_line(error)}. "
            "PyTorch on the CPU computes instead"
        )
        return reference


def choose(work: Work) -> tuple[str, str]:
    """A runtime and why. It depends on the work, the device and what is installed, on no measured time."""
    import torch

    if torch.cuda.is_available():
        return "torch", "auto: on the GPU"
    amount = f"{work.num_images:,} images are {work.flop / 1e9:,.0f} GFLOP"
    if work.flop < EXPORT_FLOP:
        return "torch", f"auto: {amount}, done before a faster runtime had started"
    for name in ("onnxruntime", "openvino"):
        if installed(name):
            return name, f"auto: {amount}, worth its start"
    return "torch", "auto: neither onnxruntime nor openvino is installed, each about twice as fast"


def installed(name: str) -> bool:
    """Whether the packages that this runtime needs are there."""
    return name not in PACKAGES or all(find_spec(each) for each in (name, *_EXPORT))
