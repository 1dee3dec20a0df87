"""What must fit before a training begins: the network to the data, the run to what its directory holds."""

from typing import Any

import torch

from convlab.base.config import lasting
from convlab.base.errors import ConvlabError
from convlab.base.trees import flat
from convlab.data.labelled import LabelledData
from convlab.runs.run import Run

DIFFERENCES = 5  # settings that a refusal names


def keep_other(run: Run, config: dict[str, Any], lineage: dict[str, Any]) -> None:
    """Raise ConvlabError if `run` is finished with other settings than `config`."""
    before = run.state.get("lineage", {}).get("config_hash")
    finished = run.state.get("status") == "finished" and (run.model_dir / "model.json").is_file()
    if not finished or before in (None, lineage["config_hash"]):
        return
    old, new = flat(lasting(run.config)), flat(lasting(config))
    differing = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    if not differing:  # in nothing that a person could change
        return
    named = ", ".join(f"{key}: {old.get(key)}, now {new.get(key)}" for key in differing[:DIFFERENCES])
    more = f" and {len(differing) - DIFFERENCES} more" if len(differing) > DIFFERENCES else ""
    raise ConvlabError(
        f"{run.directory} holds a finished run with other settings ({named}{more}). "
        "Give this one a name of its own (name=...), or replace that one (resume=never)."
    )


def shapes_fit(network: torch.nn.Module, data: LabelledData) -> None:
    """Raise ConvlabError unless `network` takes the data's inputs and gives a number for each class."""
    network.eval()
    try:
        with torch.no_grad():
            num_logits = network(torch.zeros(2, *data.input_shape)).shape[-1]
    except RuntimeError as error:
        raise ConvlabError(_misfit(data, error)) from None
    if num_logits != len(data.classes):
        raise ConvlabError(
            f"model.num_classes={num_logits}, but the data has {len(data.classes)} classes: "
            f"{', '.join(data.classes)}."
        )
    network.train()


def _misfit(data: LabelledData, error: RuntimeError) -> str:
    """What the model got, why it does not take it, and what would fit."""
    shape, why = data.input_shape, str(error).splitlines()[0].rstrip(".")
    if len(shape) == 1:
        return (
            f"the model does not accept the data's vectors of {shape[0]:,} numbers: {why}. Choose a model "
            "for vectors (model=linear_head, model=mlp_head), or images as data (data=photos_pixels)."
        )
    size = "x".join(map(str, shape))
    hint = (
        "For LeNet-5 on 28x28 digits set data.module.preprocessing.pad=2. " if shape[1:] == (28, 28) else ""
    )
    return (
        f"the model does not accept the data's images of {size} (c h w): {why}. {hint}"
        f"`convlab summary model=NAME input={','.join(map(str, shape))}` shows where the sizes end."
    )
