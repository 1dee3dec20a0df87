"""LeNet-5 exactly as LeCun, Bottou, Bengio, Haffner (1998) describe it.

Source: "Gradient-based learning applied to document recognition", section II.B and appendix A.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from convlab.base.errors import ConvlabError
from convlab.models.connection_table import C3_TABLE, Table
from convlab.models.digit_bitmaps import DIGIT_CODES


class ScaledTanh(nn.Module):
    """1.7159 tanh(2 a / 3): 1 stays 1, -1 stays -1, and the curve bends most there."""

    def forward(self, inputs: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * inputs)


class Subsampling(nn.Module):
    """The sum of each 2x2 window times the map's one coefficient, plus its one bias; halves h and w."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))

    def forward(self, inputs: Tensor) -> Tensor:
        sums = 4 * functional.avg_pool2d(inputs, 2)  # exact; onnxscript 0.7 passes over divisor_override
        return sums * self.coefficient.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class TableConv2d(nn.Module):
    """Convolution whose output map o reads the input maps `table[o]` only.

    `weight` (kernels h w) has one kernel a cross of the table, output map by output map: those that the
    table leaves out do not exist. Raises ConvlabError for a map that reads nothing, one map twice, or a
    map that is not among the `in_maps`.
    """

    _places: Tensor

    def __init__(self, in_maps: int, table: Table, kernel_size: int) -> None:
        super().__init__()
        for reads in table:
            if not reads or len(set(reads)) < len(reads) or not set(reads) <= set(range(in_maps)):
                raise ConvlabError(f"table: {reads} is not a selection of the maps 0 to {in_maps - 1}.")
        self.in_maps, self.table, self.kernel_size = in_maps, table, kernel_size
        places = [number * in_maps + read for number, reads in enumerate(table) for read in reads]
        self.register_buffer("_places", torch.tensor(places), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(places), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(len(table)))

    def forward(self, inputs: Tensor) -> Tensor:
        # one convolution that multiplies the gaps' zeros too is ten times as fast as one a map
        size = (self.kernel_size, self.kernel_size)
        kernels = self.weight.new_zeros(len(self.table) * self.in_maps, *size)
        kernels = kernels.index_copy(0, self._places, self.weight)
        return functional.conv2d(inputs, kernels.view(-1, self.in_maps, *size), self.bias)


class RadialBasis(nn.Module):
    """Minus the squared distance of n d from each class's fixed code, n classes; the nearest is largest.

    The paper's units are y = |x - code|^2, of which the smallest wins; -y are logits as every other network
    here returns them. The codes are neither trained nor saved.
    """

    codes: Tensor

    def __init__(self, codes: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor(codes, dtype=torch.float32), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return -(inputs[:, None] - self.codes).square().sum(2)


class LeNet5As1998(nn.Sequential):
    """Digits n 1 32 32, background -0.1 and ink 1.175, to logits n 10; 60,000 trainable parameters.

    A weight starts uniformly within +-2.4 / F of its unit, where F counts what the unit reads: 25 in C1,
    4 in S2 and S4 (four connections share a map's coefficient), 75, 100 or 150 in C3 by the maps it reads,
    400 in C5, 120 in F6. A bias is the weight of one more connection, and starts alike.
    """

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, kernel_size=5)
        self.squash1 = ScaledTanh()
        self.s2 = Subsampling(6)
        self.squash2 = ScaledTanh()
        self.c3 = TableConv2d(6, C3_TABLE, kernel_size=5)
        self.squash3 = ScaledTanh()
        self.s4 = Subsampling(16)
        self.squash4 = ScaledTanh()
        self.c5 = nn.Conv2d(16, 120, kernel_size=5)
        self.squash5 = ScaledTanh()
        self.flatten = nn.Flatten()
        self.f6 = nn.Linear(120, 84)
        self.squash6 = ScaledTanh()
        self.output = RadialBasis(DIGIT_CODES)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        for layer, fan_in in ((self.c1, 25), (self.s2, 4), (self.s4, 4), (self.c5, 400), (self.f6, 120)):
            for parameter in layer.parameters():
                _draw(parameter, [fan_in])
        _draw(self.c3.weight, [25 * len(reads) for reads in C3_TABLE for _ in reads])
        _draw(self.c3.bias, [25 * len(reads) for reads in C3_TABLE])


def _draw(parameter: Tensor, fans: list[int]) -> None:
    """Fill uniformly within +-2.4 / fan-in, one fan-in an entry of the first axis or one for all."""
    parameter.uniform_(-2.4, 2.4).div_(torch.tensor(fans).view(-1, *[1] * (parameter.ndim - 1)))
