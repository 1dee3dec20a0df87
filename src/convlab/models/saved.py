"""A trained network on disk: `model.json` and its weights as safetensors. Nothing in the files is executed.

<directory>/
  model.json            architecture, classes, input shape, preprocessing, lineage (runs/model_file.py)
  raw.safetensors       weights as the optimizer left them
  averaged.safetensors  their moving average, if training kept one
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from convlab.base import own_code
from convlab.base.errors import ConvlabError
from convlab.base.parts import instantiate
from convlab.runs import model_file
from convlab.runs.model_file import ModelFile

_PACKAGE = "convlab.models."


def save(directory: Path, weights: Mapping[str, dict[str, Tensor]], described: ModelFile) -> ModelFile:
    """Write each of `weights` ("raw", "averaged") to `directory`, and `model.json` beside them.

    Returns what model.json says: `described`, with the files' sha256 and which weights predict (the average
    where there is one).
    """
    directory.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for kind, state in weights.items():
        content = to_bytes({name: tensor.contiguous() for name, tensor in state.items()})
        (directory / f"{kind}.safetensors").write_bytes(content)
        hashes[kind] = hashlib.sha256(content).hexdigest()
    selected = "averaged" if "averaged" in weights else "raw"
    saved = replace(described, weights=hashes, selected=selected)
    saved.write(directory)
    return saved


def load(directory: Path, weights: str | None = None, code: Path | None = None) -> nn.Module:
    """The network saved in `directory`, in evaluation mode, with its "raw" or "averaged" weights.

    `weights=None` takes the ones that `model.json` selects. Its classes must be convlab's own or, of a model
    inside the project, the project's; `code` is one more folder whose classes it may name. Raises
    ConvlabError for any other, and when the weights were altered since they were saved.
    """
    found = model_file.read(directory)
    kind = weights or found.selected
    if kind not in found.weights:
        raise ConvlabError(f"{directory} has no {kind} weights, only {', '.join(found.weights)}.")
    path = directory / f"{kind}.safetensors"
    content = model_file.checked(path, found.weights[kind])
    roots = own_code.roots_of(directory)
    network = build(found.model, [*roots, code] if code else roots)
    try:
        network.load_state_dict(load_bytes(content))
    except (SafetensorError, RuntimeError) as error:
        raise ConvlabError(f"{path} does not fit the architecture in model.json: {error}") from None
    return network.eval()


def build(model: dict[str, Any], roots: Sequence[Path] = ()) -> nn.Module:
    """The network that a `conf/model/*.yaml` describes.

    Only classes of `convlab.models` are accepted, and those in Python files below `roots`.
    """
    own_code.check(model, _PACKAGE, roots)
    for root in roots:
        own_code.make_importable(model, root)
    network: nn.Module = instantiate(model, "model")
    return network
