"""`model.json`: what a saved network is, beside its weights. Read without torch."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from convlab.base.errors import ConvlabError
from convlab.base.files import write_json

FORMAT = 1
NAME = "model.json"


@dataclass(frozen=True)
class ModelFile:
    """A network's description.

    model: what builds it, as conf/model/*.yaml: `_target_` and its arguments.
    input_shape: c h w of the images, or (d,) of the bottleneck vectors that it takes.
    preprocessing: the values of a `Preprocessing`. backbone: what makes the vectors, as conf/backbone/*.yaml.
    epoch: that the weights are of. lineage: where data and initial weights come from, by hash.
    weights: sha256 hex of `<kind>.safetensors` by kind, "raw" and "averaged"; selected: the kind that
        predicts.
    convlab_version, onnx_sha256: of a complete model only, the latter where it has an ONNX export.
    """

    model: dict[str, Any]
    name: str = ""
    classes: list[str] = field(default_factory=list)
    input_shape: list[int] = field(default_factory=list)
    preprocessing: dict[str, Any] = field(default_factory=dict)
    backbone: dict[str, Any] | None = None
    epoch: int = 0
    lineage: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    selected: str = "raw"
    convlab_version: str | None = None
    onnx_sha256: str | None = None

    @property
    def takes_vectors(self) -> bool:
        """Whether it is a head on a backbone's vectors, not a network that sees images."""
        return len(self.input_shape) == 1

    @property
    def network_name(self) -> str:
        """The class of the network, without its module."""
        return str(self.model["_target_"]).rsplit(".", 1)[-1]

    @property
    def weights_hash(self) -> str:
        """sha256 hex of the weights that predict."""
        return self.weights[self.selected]

    @property
    def weight_files(self) -> list[str]:
        """The names of the files with the network's own weights."""
        return [f"{kind}.safetensors" for kind in self.weights]

    def write(self, directory: Path) -> None:
        """Write it as `directory`/model.json."""
        known = {key: value for key, value in asdict(self).items() if not (key in _LATE and value is None)}
        ordered = {key: known[key] for key in _ORDER if key in known}
        write_json(directory / NAME, {"format": FORMAT, **ordered})


_LATE = ("convlab_version", "onnx_sha256")
_ORDER = ("name", "model", *(each.name for each in fields(ModelFile) if each.name not in ("name", "model")))


def read(directory: Path) -> ModelFile:
    """What model.json in `directory` says; raises ConvlabError when it is missing or of another format."""
    path = directory / NAME
    if not path.is_file():
        raise ConvlabError(f"{path} is missing: training has not finished. `convlab train` resumes it.")
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ConvlabError(f"{path} is not valid JSON ({error}). Train again, or restore it.") from None
    version = found.get("format") if isinstance(found, dict) else None
    if version != FORMAT:
        raise ConvlabError(
            f"{path}: expected model format {FORMAT}, found {version}. "
            "Train again, or use the convlab version that wrote it."
        )
    if "model" not in found:
        raise ConvlabError(f"{path} does not say which network it describes. Train again, or restore it.")
    return ModelFile(**{each.name: found[each.name] for each in fields(ModelFile) if each.name in found})


def checked(path: Path, expected: str) -> bytes:
    """A file's bytes; raises ConvlabError if their sha256 is not what model.json recorded."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise ConvlabError(f"{path} differs from what model.json says was saved. Train again or restore it.")
    return content
