"""Describe a live module as a `Network`, branches included, by tracing its graph with torch.fx."""

import operator
from collections.abc import Callable
from typing import Any, Literal

import torch
from timm.layers import BatchNormAct2d, SelectAdaptivePool2d
from torch import fx, nn
from torch.nn import functional

from convlab.arithmetic.effect import Layer, Shape
from convlab.arithmetic.network import Branches, Chain, Network, Unit, rows, totals
from convlab.base.errors import ConvlabError
from convlab.models.described_layers import OWN, is_unit, layers_of
from convlab.models.test_time import ShiftAveraged

# Functions by the module that does the same with the same arguments.
MODULES: dict[Any, Callable[..., nn.Module]] = {
    functional.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    torch.flatten: nn.Flatten,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.max_pool2d: nn.MaxPool2d,
}
JOINS: dict[Any, Literal["concatenate", "add"]] = {
    torch.cat: "concatenate",
    torch.add: "add",
    operator.add: "add",
    operator.iadd: "add",
}


def network_of(module: nn.Module, input_shape: Shape) -> Network:
    """The layers of `module` for inputs of `input_shape` (c h w, or one number of values).

    A convolution that the module groups with its batch norm and activation counts as one layer. The
    module may be on the meta device. Raises ConvlabError for a layer this file doesn't know, for control
    flow that depends on data, and for an input that doesn't fit the module's parameters.
    """
    if isinstance(module, ShiftAveraged):
        return network_of(module.network, input_shape)  # what is averaged is one network's
    try:
        graph = fx.GraphModule(module, _Tracer().trace(module)).graph
    except Exception as error:  # whatever the module's code raises when it runs on stand-ins for tensors
        raise ConvlabError(f"{type(module).__name__} cannot be traced for a summary: {error}") from error
    graph.eliminate_dead_code()
    network = Network(input_shape, _Describer(module, graph).layers)
    counted = totals(rows(network)).parameters
    if counted != (held := sum(parameter.numel() for parameter in module.parameters())):
        raise ConvlabError(
            f"{type(module).__name__} has {held:,} parameters, but for an input of {input_shape} its layers "
            f"would have {counted:,}. Give the input it is made for: input=channels,height,width."
        )
    return network


class _Tracer(fx.Tracer):
    """Keeps a convolution with its batch norm and activation in one node, and timm's layers whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, (BatchNormAct2d, SelectAdaptivePool2d, *OWN)) or is_unit(m)
        return whole or super().is_leaf_module(m, module_qualified_name)


class _Describer:
    """Turns an fx graph into nested chains; `layers` is the whole."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        self._modules = dict(module.named_modules())
        nodes = list(graph.nodes)
        self._position = {node: position for position, node in enumerate(nodes)}
        self._after: dict[fx.Node, set[fx.Node]] = {}  # the nodes that every path from here leads through
        for node in reversed(nodes):
            paths = [self._after[user] | {user} for user in node.users]
            self._after[node] = set.intersection(*paths) if paths else set()
        self.layers = self._chain(nodes[0], nodes[-1])

    def _chain(self, node: fx.Node, stop: fx.Node) -> Chain:
        """The layers from `node` up to, and without, `stop`."""
        chain: Chain = {}
        while node is not stop:
            for layer in self._layer(node):
                name = _name(node)
                chain[name if name not in chain else node.name] = layer  # a module may run more than once
            while len(node.users) > 1:
                join = min(self._after[node], key=self._position.__getitem__)
                if join.target not in JOINS or not _joins_channels(join):
                    raise ConvlabError(f"branches meet in {join.format_node()}, which summary does not know.")
                branches = tuple(self._chain(user, join) for user in node.users)
                chain[_block_name(node, join)] = Branches(JOINS[join.target], branches)
                node = join
            node = next(iter(node.users))
        return chain

    def _layer(self, node: fx.Node) -> list[Layer]:
        """The node's own layer; none for the input and for identities."""
        if node.op == "placeholder":
            return []
        if node.op == "call_module":
            module = self._modules[str(node.target)]
        elif node.op == "call_function" and node.target in MODULES:
            module = MODULES[node.target](*node.args[1:], **node.kwargs)
        else:
            raise ConvlabError(
                f"{_name(node)}: summary does not know the operation {node.target}, or branches that meet "
                "otherwise than as a tree."
            )
        layers = layers_of(module)
        return [Unit(tuple(layers))] if len(layers) > 1 else layers


def _joins_channels(join: fx.Node) -> bool:
    return JOINS[join.target] == "add" or (*join.args[1:], join.kwargs.get("dim", 0))[0] in (1, -3)


def _name(node: fx.Node) -> str:
    """The module's dotted path; for a function, that of the module that calls it and the function's."""
    if node.op == "call_module":
        return str(node.target)
    return f"{_path(node)}.{node.name}".removeprefix(".")


def _block_name(split: fx.Node, join: fx.Node) -> str:
    """The path of the module that the branches fill; with the join's own name where they don't."""
    inside = f"{_path(split)}.".startswith(f"{_path(join)}.")
    return _name(join) if inside or not _path(join) else _path(join)


def _path(node: fx.Node) -> str:
    """The dotted path of the innermost module that runs the node; empty for the network itself."""
    return str(next(reversed(node.meta.get("nn_module_stack", {})), ""))
