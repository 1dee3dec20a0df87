"""Describe a live module without branches: the layers on paper that do what it does."""

from typing import Any

from timm.layers import BatchNormAct2d, ConvNormAct, SelectAdaptivePool2d
from torch import nn

from convlab.arithmetic.effect import Layer
from convlab.arithmetic.layers import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GlobalAverage,
    RadialBasis,
)
from convlab.arithmetic.sliding import Conv, Pool, Subsampling, TableConv
from convlab.base.errors import ConvlabError
from convlab.models import lenet5_1998

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Sigmoid)
# convlab's own layers, which are not looked into.
OWN = (lenet5_1998.ScaledTanh, lenet5_1998.Subsampling, lenet5_1998.TableConv2d, lenet5_1998.RadialBasis)


def is_unit(module: nn.Module) -> bool:
    """Whether it groups one convolution with its batch norm and activation, which count as one layer."""
    if not isinstance(module, ConvNormAct | nn.Sequential):
        return False
    leaves = [part for part in module.modules() if not isinstance(part, ConvNormAct | nn.Sequential)]
    convs = [isinstance(part, nn.Conv2d) for part in leaves]
    norms = [isinstance(part, nn.BatchNorm2d) for part in leaves]
    others = [isinstance(part, (nn.Identity, nn.Dropout, *ACTIVATIONS)) for part in leaves]
    return convs[:1] == [True] and sum(convs) == 1 and any(norms) and sum(norms + others) == len(leaves) - 1


def layers_of(module: nn.Module) -> list[Layer]:
    """The layers that a module without branches runs one after the other.

    Raises ConvlabError for one that no layer on paper describes.
    """
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
            return [BatchNorm(), *layers_of(module.drop), *layers_of(module.act)]
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
            return [layer for part in module.children() for layer in layers_of(part)]
    if isinstance(module, ACTIVATIONS):
        return [Activation(type(module).__name__.lower())]
    raise ConvlabError(f"summary does not know the layer {module}.")


def _one(value: Any) -> Any:
    """5 for (5, 5), as descriptions are written."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
