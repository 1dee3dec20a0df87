"""ONNX and TorchScript: the bytes of a file, and what they compute when they are read back."""

import io
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.jit import TracerWarning

from convlab.base.errors import ConvlabError
from convlab.features.runtimes.check import first_line
from convlab.features.runtimes.onnx_export import export
from convlab.prediction import onnx_predictor
from convlab.prediction.export.whole import Whole, metadata
from convlab.prediction.network_predictor import NetworkPredictor

Compute = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # pixels n c h w -> probabilities n k


class NotExportable(ConvlabError):
    """torch can't write this network in this format, or what it wrote computes something else."""


@dataclass(frozen=True)
class Format:
    """file: its name. write: a network and its name, to bytes. read: from them to what they compute."""

    file: str
    write: Callable[[NetworkPredictor, str], bytes]
    read: Callable[[bytes], Compute]


def to_onnx(predictor: NetworkPredictor, name: str) -> bytes:
    """The whole network, for any number of images at a time; `metadata` in the model's metadata_props."""
    whole = Whole(predictor)
    try:
        model = export(whole, whole.example(), onnx_predictor.OUTPUT)
    except Exception as error:  # torch's exporter and onnxscript raise many kinds
        raise NotExportable(f"{name} can't be exported as ONNX: {first_line(error)}") from error
    for key, value in metadata(name, predictor).items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


def from_onnx(content: bytes) -> Compute:
    return onnx_predictor.load(content).probabilities


def to_torchscript(predictor: NetworkPredictor, name: str) -> bytes:
    """The same, for `torch.jit.load`, also in C++; `metadata` is its extra file metadata.json."""
    whole, file = Whole(predictor), io.BytesIO()
    extra = {"metadata.json": json.dumps(metadata(name, predictor), ensure_ascii=False)}
    with _deprecated(), torch.no_grad():
        # of `Preprocessing.normalize`: what it checks, and its mean and deviation, become constants
        warnings.filterwarnings("ignore", category=TracerWarning)
        try:
            traced = torch.jit.trace(whole, (whole.example(),), check_trace=False)
        except Exception as error:  # whatever the network's code raises
            raise NotExportable(f"{name} can't be exported as TorchScript: {first_line(error)}") from error
        torch.jit.save(traced, file, _extra_files=extra)
    return file.getvalue()


def from_torchscript(content: bytes) -> Compute:
    with _deprecated():
        network = torch.jit.load(io.BytesIO(content))

    def probabilities(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = network(torch.from_numpy(pixels)).numpy()
        return found

    return probabilities


@contextmanager
def _deprecated() -> Iterator[None]:
    """TorchScript is, since torch 2.5: whoever asks for it has a program that reads it."""
    message = r"`torch\.jit\.\w+` is (deprecated|not supported)"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, DeprecationWarning)
        yield


FORMATS = {
    "onnx": Format(onnx_predictor.FILE, to_onnx, from_onnx),
    "torchscript": Format("model.pt", to_torchscript, from_torchscript),
}
