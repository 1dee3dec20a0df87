"""Describe a live module as a `Network`, branches included, by tracing its graph with torch.fx."""

import operator
from collections.abc import Callable
from typing import Any, Literal

import torch
from timm.layers import BatchNormAct2d, ConvNormAct, SelectAdaptivePool2d
from torch import fx, nn
from torch.nn import functional

from convlab.arithmetic.effect import Layer, Shape
from convlab.arithmetic.layers import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GlobalAverage,
    RadialBasis,
)
from convlab.arithmetic.network import Branches, Chain, Network, Unit, rows, totals
from convlab.arithmetic.sliding import Conv, Pool, Subsampling, TableConv
from convlab.base.errors import ConvlabError
from convlab.models import lenet5_1998
from convlab.models.test_time import ShiftAveraged

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Sigmoid)
# convlab's own layers, which are not looked into.
OWN = (lenet5_1998.ScaledTanh, lenet5_1998.Subsampling, lenet5_1998.TableConv2d, lenet5_1998.RadialBasis)
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
        whole = isinstance(m, (BatchNormAct2d, SelectAdaptivePool2d, *OWN)) or _is_unit(m)
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
        layers = _layers(module)
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


def _is_unit(module: nn.Module) -> bool:
    if not isinstance(module, ConvNormAct | nn.Sequential):
        return False
    leaves = [part for part in module.modules() if not isinstance(part, ConvNormAct | nn.Sequential)]
    convs = [isinstance(part, nn.Conv2d) for part in leaves]
    norms = [isinstance(part, nn.BatchNorm2d) for part in leaves]
    others = [isinstance(part, (nn.Identity, nn.Dropout, *ACTIVATIONS)) for part in leaves]
    return convs[:1] == [True] and sum(convs) == 1 and any(norms) and sum(norms + others) == len(leaves) - 1


def _layers(module: nn.Module) -> list[Layer]:
    """The layers that a module without branches runs one after the other."""
    match module:
        case nn.Identity():
            return []
        case nn.Conv2d(kernel_size=kernel, stride=stride, dilation=dilation):
            padding: Any = module.padding.upper() if isinstance(module.padding, str) else _one(module.padding)
            bias = module.bias is not None
            kernel, stride, dilation = _one(kernel), _one(stride), _one(dilation)
            return [
                Conv(module.out_channels, kernel, stride, padding or "VALID", dilation, module.groups, bias)
            ]
        case nn.MaxPool2d() | nn.AvgPool2d():
            kernel, stride = _one(module.kernel_size), _one(module.stride)
            return [
                Pool(
                    kernel,
                    None if stride == kernel else stride,
                    _one(module.padding) or "VALID",
                    rounding="ceil" if module.ceil_mode else "floor",
                    mode="max" if isinstance(module, nn.MaxPool2d) else "average",
                    dilation=_one(getattr(module, "dilation", 1)),
                )
            ]
        case lenet5_1998.TableConv2d():
            return [TableConv(module.table, module.kernel_size)]
        case lenet5_1998.Subsampling():
            return [Subsampling(2)]
        case lenet5_1998.RadialBasis():
            return [RadialBasis(len(module.codes))]
        case lenet5_1998.ScaledTanh():
            return [Activation("scaled tanh")]
        case BatchNormAct2d():
            return [BatchNorm(), *_layers(module.drop), *_layers(module.act)]
        case nn.BatchNorm2d(affine=True):
            return [BatchNorm()]
        case nn.Linear():
            return [Dense(module.out_features, module.bias is not None)]
        case nn.Dropout():
            return [Dropout(module.p)]
        case nn.Flatten(start_dim=1, end_dim=-1):
            return [Flatten()]
        case nn.AdaptiveAvgPool2d(output_size=1 | (1, 1)):
            return [GlobalAverage(flat=False)]
        case SelectAdaptivePool2d(pool_type="avg"):
            return [GlobalAverage(flat=isinstance(module.flatten, nn.Flatten))]
        case ConvNormAct() | nn.Sequential():
            return [layer for part in module.children() for layer in _layers(part)]
    if isinstance(module, ACTIVATIONS):
        return [Activation(type(module).__name__.lower())]
    raise ConvlabError(f"summary does not know the layer {module}.")


def _one(value: Any) -> Any:
    """5 for (5, 5), as descriptions are written."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
