"""OpenVINO on the CPU: `pip install 'convlab[openvino]'`."""

import threading
from typing import TYPE_CHECKING

from convlab.features.runtimes.onnx_export import exported
from convlab.features.runtimes.runtime import Runtime
from convlab.features.runtimes.work import Work

if TYPE_CHECKING:
    from torch import Tensor


def openvino_runtime(work: Work) -> Runtime:
    """As many streams of one thread as torch would take threads (OMP_NUM_THREADS), an image each."""
    import openvino  # type: ignore[import-untyped]
    import torch

    num_threads = torch.get_num_threads()
    core = openvino.Core()
    model = core.read_model(exported(work))
    model.reshape([1, *work.example(1).shape[1:]])
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else half precision where the processor has it
        "INFERENCE_NUM_THREADS": num_threads,
        "NUM_STREAMS": num_threads,
    }
    compiled = core.compile_model(model, "CPU", settings)
    of_thread = threading.local()  # a request serves one thread at a time

    def forward(pixels: "Tensor") -> "Tensor":
        if not hasattr(of_thread, "request"):
            of_thread.request = compiled.create_infer_request()
        return torch.from_numpy(of_thread.request.infer([pixels.numpy()])[0].copy())

    return Runtime("openvino", forward, num_threads)
