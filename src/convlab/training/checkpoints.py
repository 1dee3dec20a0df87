"""A run's checkpoints: which one training resumes from, and which one becomes the model."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.runs.run import Run


def to_resume(config: dict[str, Any], run: Run, lineage: dict[str, Any]) -> Path | None:
    """`last.ckpt` if training should resume from it, by `config["resume"]`."""
    last, state, choice = run.directory / "checkpoints" / "last.ckpt", run.state, config["resume"]
    if choice == "latest" and not last.is_file():
        raise ConvlabError(f"resume=latest: there is no {last} to resume from. Leave resume out to restart.")
    same = state.get("lineage") == lineage and state.get("status") in ("running", "failed")
    if choice == "never" or not last.is_file() or (choice == "auto" and not same):
        return None
    step = torch.load(last, weights_only=True, map_location="cpu")["global_step"]
    console.print(f"Resuming {run.name} from step {step:,} ({last}).", markup=False)
    return last


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
