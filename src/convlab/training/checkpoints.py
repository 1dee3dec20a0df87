"""A run's checkpoints: which one training resumes from, and which one becomes the model."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.runs.run import Run


def goes_on(config: dict[str, Any], run: Run, lineage: dict[str, Any], to_measure: bool) -> bool:
    """Whether this training is the one in `run` that was interrupted: it goes on in the same record.

    to_measure: the command measures it, too, so that it was not done before that.
    """
    if config["resume"] != "auto":
        return bool(config["resume"] == "latest")
    state = run.state
    if state.get("lineage") != lineage:
        return False
    unfinished = state.get("status") in ("running", "failed")
    return unfinished or (to_measure and state.get("status") == "finished" and _is_unmeasured(run))


def to_resume(config: dict[str, Any], run: Run, goes_on: bool) -> Path | None:
    """`last.ckpt` if training should resume from it, by `config["resume"]`."""
    last, choice = run.directory / "checkpoints" / "last.ckpt", config["resume"]
    if choice == "latest" and not last.is_file():
        raise ConvlabError(f"resume=latest: there is no {last} to resume from. Leave resume out to restart.")
    if not goes_on or not last.is_file():
        return None
    step = torch.load(last, weights_only=True, map_location="cpu")["global_step"]
    console.print(f"Resuming {run.name} from step {step:,} ({last}).", markup=False)
    return last


def _is_unmeasured(run: Run) -> bool:
    """Whether the model is there, and metrics.json is not, or is of another one."""
    measured = run.directory / "metrics.json"
    if not (run.model_dir / "model.json").is_file():
        return False
    if not measured.is_file():
        return True
    of: dict[str, Any] = json.loads(measured.read_text()).get("lineage") or {}
    return of.get("weights_hash") != run.model_file.weights_hash


def chosen(config: dict[str, Any], run: Run) -> Path:
    """The one that becomes the model: the best epoch by what is monitored, or else the last step."""
    return run.directory / "checkpoints" / ("best.ckpt" if config["checkpoint"]["monitor"] else "last.ckpt")


def weights(checkpoint: dict[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The network's weights in a checkpoint: "raw", and "averaged" if it keeps an average."""
    states = {"raw": checkpoint.get("current_model_state", checkpoint["state_dict"])}
    if "current_model_state" in checkpoint:
        states["averaged"] = checkpoint["state_dict"]
    return {
        kind: {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}
        for kind, state in states.items()
    }
