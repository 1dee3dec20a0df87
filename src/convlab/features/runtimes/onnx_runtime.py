"""ONNX Runtime on the CPU."""

from typing import TYPE_CHECKING

from convlab.features.runtimes.onnx_export import INPUT, OUTPUT, exported
from convlab.features.runtimes.runtime import Runtime
from convlab.features.runtimes.work import Work

if TYPE_CHECKING:
    from torch import Tensor


def onnx_runtime(work: Work) -> Runtime:
    """A session of one thread, run by as many as torch would take (OMP_NUM_THREADS), an image each."""
    import onnxruntime  # type: ignore[import-untyped]
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; warnings are about the graph's form
    session = onnxruntime.InferenceSession(exported(work), options, providers=["CPUExecutionProvider"])

    def forward(pixels: "Tensor") -> "Tensor":
        return torch.from_numpy(session.run([OUTPUT], {INPUT: pixels.numpy()})[0])

    return Runtime("onnxruntime", forward, torch.get_num_threads())
