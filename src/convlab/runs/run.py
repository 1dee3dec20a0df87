"""A run's directory: what it holds, and how a trained network is saved and loaded.

runs/<name>/
  config.yaml             the resolved configuration
  model/                  predicts on its own, also when moved to another machine
    model.json            architecture, classes, input shape, preprocessing, lineage
    raw.safetensors       weights as the optimizer left them
    averaged.safetensors  their moving average, if the run kept one
  history.csv             one row an epoch
  curves.png  confusion.png  mistakes.png
  metrics.json            the official test split, measured (written by `evaluate`)
  predictions.npz         labels n, probabilities n k of the test split
  visualize/              pictures of what the network learned, and visualize.json (written by `visualize`)
  checkpoints/            best.ckpt and last.ckpt, for going on
  run.json                when, where and how far: the only file that differs between equal runs
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir

if TYPE_CHECKING:  # torch is imported where weights are: a directory is looked at without it
    from torch import Tensor, nn

MODEL_FORMAT = 1
_MODEL_PACKAGE = "convlab.models."


def run_dir(name: str) -> Path:
    """The directory of a run given by its name under `runs/` or by its path.

    Raises ConvlabError, with the runs there are, when there is no such run.
    """
    for candidate in (project_dir() / "runs" / name, Path(name)):
        if (candidate / "config.yaml").is_file():
            return candidate
    known = sorted(path.parent.name for path in (project_dir() / "runs").glob("*/config.yaml"))
    raise ConvlabError(
        f"there is no run '{name}'. Runs: {', '.join(known) or 'none yet'}. `convlab train` makes one."
    )


def write_json(path: Path, content: Any) -> None:
    """Write `content` so that a reader finds either the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)


def read_state(directory: Path) -> dict[str, Any]:
    """`run.json`, or an empty dict where a run has not begun."""
    path = directory / "run.json"
    state: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return state


def update_state(directory: Path, **facts: Any) -> None:
    """Merge `facts` into `run.json`."""
    write_json(directory / "run.json", read_state(directory) | facts)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested settings, as in config.yaml, by their dotted paths; an empty part is a leaf."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, dict) and value
        leaves |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return leaves


def git_state() -> dict[str, Any]:
    """`git_commit` (None outside a repository) and whether tracked files differ from it, `git_dirty`."""
    commit = _git("rev-parse", "HEAD")
    # dvc.lock changes while the pipeline runs: it says what came out, not what went in
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
    return {"git_commit": commit or None, "git_dirty": bool(changes)}


def save_model(
    directory: Path, weights: "dict[str, dict[str, Tensor]]", description: dict[str, Any]
) -> dict[str, Any]:
    """Write `model/`: each of `weights` ("raw", "averaged") as safetensors, and `model.json` beside them.

    Returns what `model.json` says: `description`, the files' sha256, and which weights predict
    (`selected`: the average where there is one).
    """
    from safetensors.torch import save

    directory.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for kind, state in weights.items():
        path = directory / f"{kind}.safetensors"
        path.write_bytes(save({name: tensor.contiguous() for name, tensor in state.items()}))
        hashes[kind] = hashlib.sha256(path.read_bytes()).hexdigest()
    selected = "averaged" if "averaged" in weights else "raw"
    card = {"format": MODEL_FORMAT, **description, "weights": hashes, "selected": selected}
    write_json(directory / "model.json", card)
    return card


def read_card(directory: Path) -> dict[str, Any]:
    """`model.json` of a saved model; raises ConvlabError when missing or of another format."""
    path = directory / "model.json"
    if not path.is_file():
        raise ConvlabError(f"{path} is missing: training has not finished. `convlab train` goes on with it.")
    card: dict[str, Any] = json.loads(path.read_text())
    if card.get("format") != MODEL_FORMAT:
        raise ConvlabError(
            f"{path}: expected model format {MODEL_FORMAT}, found {card.get('format')}. "
            "Train again, or use the convlab version that wrote it."
        )
    return card


def load_model(directory: Path, weights: str | None = None) -> "nn.Module":
    """The network saved in `directory`, in evaluation mode, with its "raw" or "averaged" weights.

    `weights=None` takes the ones that `model.json` selects. Nothing in the files is executed: the
    architecture must be one of convlab's own, the weights are safetensors. Raises ConvlabError when
    they were altered since they were saved.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    card = read_card(directory)
    kind = weights or card["selected"]
    path = directory / f"{kind}.safetensors"
    if kind not in card["weights"]:
        raise ConvlabError(f"{directory} has no {kind} weights, only {', '.join(card['weights'])}.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != card["weights"][kind]:
        raise ConvlabError(f"{path} differs from what model.json says was saved. Train again or restore it.")
    network = build_model(card["model"])
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ConvlabError(f"{path} does not fit the architecture in model.json: {error}") from None
    return network.eval()


def build_model(model: dict[str, Any]) -> "nn.Module":
    """The network that a `conf/model/*.yaml` describes; only classes of `convlab.models` are accepted."""
    from hydra.utils import instantiate

    for target in _nested_targets({"_target_": None, **model}):
        if not str(target).startswith(_MODEL_PACKAGE):
            raise ConvlabError(f"model '{target}' is not one of convlab's own ({_MODEL_PACKAGE}*).")
    network: nn.Module = instantiate(model, _convert_="all")
    return network


def _nested_targets(part: Any) -> Iterator[Any]:
    """What Hydra would call to build `part`, at any depth."""
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "_target_")
        part = list(part.values())
    if isinstance(part, list | tuple):
        for each in part:
            yield from _nested_targets(each)


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=project_dir(), capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
