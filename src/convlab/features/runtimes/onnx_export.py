"""The backbone as an ONNX file: pixels uint8 n c h w -> vectors float32 n d, any n.

Exported once (Inception-v3: seconds and 90 MB) to <state>/runtimes/, under a name that stands for all that
decides its content.
"""

import hashlib
import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from convlab.base.files import atomic_file
from convlab.base.project import state_dir
from convlab.features.runtimes.work import Work

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

FORMAT = 1  # raise it when the code below exports otherwise
INPUT, OUTPUT = "pixels", "vectors"


def onnx_path(work: Work) -> Path:
    """Where the export is, or will be."""
    identity = {
        "format": FORMAT,
        "backbone": work.backbone.identity(),
        "preprocessing": work.preprocessing.fingerprint(),
        "packages": {name: version(name) for name in ("torch", "timm", "onnx", "onnxscript")},
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return state_dir() / "runtimes" / f"{work.backbone.name}-{digest[:16]}.onnx"


def exported(work: Work) -> Path:
    """The ONNX file, made if it isn't there."""
    path = onnx_path(work)
    if not path.is_file():
        content = export(work.network, work.example(2), OUTPUT).SerializeToString()
        with atomic_file(path) as file:
            file.write(content)
    return path


def export(network: "nn.Module", example: "Tensor", output: str) -> "ModelProto":
    """`network` from INPUT, of the kind of `example` but with any n, to what is called `output`."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's exporter about torch's own deprecations
        program = torch.onnx.export(
            network,
            (example,),
            input_names=[INPUT],
            output_names=[output],
            dynamic_shapes={INPUT: {0: torch.export.Dim("n")}},
            verbose=False,
        )
    assert program is not None  # as the older exporter, which writes the file itself, returns
    model = program.model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")  # names files of the machine that exported
    return model
