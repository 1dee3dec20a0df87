"""Show a network layer by layer: sizes, parameters, connections, cost.

usage: convlab summary [model=<network>] [key=value ...] [input=c,h,w] [--json | --markdown]

A table of what each layer makes of one image, and what that costs:
  input, output     channels x height x width, or a number of values
  parameters        weights and biases
  connections       (what a unit reads + its bias) x units, as LeCun et al. (1998) count them
  mult-adds         multiply-adds: those of weights, for one image
  field             the receptive field in pixels, as size/stride/offset: how much of the image a unit
                    sees, the step from one unit to the next, and the centre of the first unit's
                    field, counted from 0
  memory            the output as float32; "-" where a layer can overwrite its input
Parallel branches are drawn as a tree, and the line they meet in counts them all. docs/arithmetic.md
has each formula with a worked example.

The networks of conf/model/ need no torch and take a moment. A backbone (model=inception_v3, or
backbone=inception_v3) is built without memory for its weights and traced, some seconds. So is a
network of your own, named by model._target_: say what it takes with input=. It serves for inputs of
another size, too, where the network allows them.

Writes nothing but the table. --json prints it for programs (branches nested), --markdown for a page.

examples
  convlab summary model=lenet5                       61,706 parameters
  convlab summary model=fully_connected model.hidden=300
  convlab summary experiment=mlp_head --json
  convlab summary model=inception_v3                 down to the 2,048 values of the bottleneck
  convlab summary model=inception_v3 input=3,150,150
"""

import argparse
import inspect
import json
import sys
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from convlab.arithmetic import table as summary
from convlab.arithmetic.effect import Shape
from convlab.arithmetic.network import Network
from convlab.base.config import compose, groups
from convlab.base.errors import ConvlabError
from convlab.models.architectures import ARCHITECTURES

# What the heads take where the data set decides: Inception-v3's vectors, the flowers' five classes.
UNSET = {"num_inputs": 2048, "num_classes": 5}
WIDE = 1000  # columns: in a file no cell is folded


def run(args: list[str]) -> int:
    """Print the table of the network that `args` choose."""
    parser = argparse.ArgumentParser(prog="convlab summary", add_help=False)
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--json", action="store_true")
    style.add_argument("--markdown", action="store_true")
    parser.add_argument("words", nargs="*")
    options = parser.parse_intermixed_args(args)
    shape = _input([word for word in options.words if word.startswith("input=")])
    name, network, assumed = _choose([w for w in options.words if not w.startswith("input=")], shape)
    if options.json:
        print(json.dumps({"model": name, "assumed": assumed, **summary.document(network)}, indent=2))
        return 0
    drawn = summary.table(network, markdown=options.markdown)
    to_terminal = sys.stdout.isatty() and not options.markdown
    console = Console(highlight=False, width=None if to_terminal else WIDE)
    console.print(drawn)
    for key, value in assumed.items():
        console.print(f"model.{key}={value} is assumed: the data set decides.", soft_wrap=True)
    return 0


def _choose(words: list[str], shape: Shape | None) -> tuple[str, Network, dict[str, int]]:
    """The name of the network, its layers, and the sizes that were assumed."""
    given = dict(word.split("=", 1) for word in words if "=" in word)
    chosen = given.get("model") or (None if "experiment" in given else given.get("backbone"))
    if chosen in groups()["backbone"] and chosen not in groups()["model"]:
        others = [word for word in words if word not in (f"model={chosen}", f"backbone={chosen}")]
        return chosen, _backbone(compose("train", [*others, f"backbone={chosen}"]).backbone, shape), {}
    config = compose("train", words, typed=False)
    model: dict[str, Any] = OmegaConf.to_container(config.model)  # type: ignore[assignment]
    assumed = {key: value for key, value in UNSET.items() if key in model and model[key] is None}
    model |= assumed
    if "_target_" not in model:
        raise ConvlabError(
            "model=own: say which class, model._target_=<module>.<Class> (+ before the first word)."
        )
    target = model.pop("_target_")
    name = chosen or target.rsplit(".", 1)[-1]
    if shape is None and target in ARCHITECTURES:
        return name, _described(target, model), assumed
    return name, _live(target, model, shape or _seen_by(config.backbone)), assumed


def _described(target: str, arguments: dict[str, Any]) -> Network:
    describe = ARCHITECTURES[target]
    try:
        inspect.signature(describe).bind(**arguments)
    except TypeError as error:
        raise ConvlabError(f"{target}: {error}. It takes {inspect.signature(describe)}.") from None
    return describe(**arguments)


def _live(target: str, arguments: dict[str, Any], shape: Shape | None) -> Network:
    import torch

    from convlab.base.parts import instantiate
    from convlab.models.describe import network_of

    with torch.device("meta"):
        module = instantiate({"_target_": target, **arguments}, "model")
    shape = shape or getattr(module, "input_shape", None)
    if shape is None:
        raise ConvlabError(
            f"{target} is not among the networks of models/architectures.py: say what it takes, for "
            "instance input=1,28,28 (channels, height, width) or input=784."
        )
    return network_of(module.eval(), shape)


def _seen_by(backbone: DictConfig) -> Shape | None:
    """c h w of the images that a chosen backbone is given."""
    from convlab.data.preprocessing import Preprocessing

    values: dict[str, Any] | None = OmegaConf.to_container(backbone).get("preprocessing")  # type: ignore
    return Preprocessing.from_dict(values).shape if values else None


def _backbone(config: DictConfig, shape: Shape | None) -> Network:
    import torch

    from convlab.data.preprocessing import Preprocessing
    from convlab.features.backbone import Backbone
    from convlab.models.describe import network_of

    settings: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    if "architecture" not in settings:
        raise ConvlabError(
            f"backbone={settings['name']} is not a network: its configuration has no architecture."
        )
    backbone = Backbone(settings["name"], settings["architecture"], options=settings.get("options") or {})
    with torch.device("meta"):
        module = backbone.model
    return network_of(module, shape or Preprocessing.from_dict(settings["preprocessing"]).shape)


def _input(words: list[str]) -> Shape | None:
    if not words:
        return None
    text = words[-1].removeprefix("input=")
    sizes = tuple(int(size) for size in text.split(",") if size.strip().isdecimal())
    if len(sizes) not in (1, 3) or len(sizes) != len(text.split(",")):
        raise ConvlabError(
            f"input={text}: expected channels,height,width as in input=3,299,299, or a number."
        )
    return sizes
