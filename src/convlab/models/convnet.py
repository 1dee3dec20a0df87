"""A plain convolutional network with batch normalization, as deep and wide as its configuration says."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from convlab.base.errors import ConvlabError
from convlab.models.dropout import dropout


class ConvNet(nn.Sequential):
    """Blocks of SAME convolution, perhaps 2x2 max pooling, batch norm and ReLU; one hidden layer; logits.

    Batch norm (Ioffe, Szegedy 2015) comes after pooling, where there is a quarter to normalize. The
    convolutions have no bias: batch norm's shift is one.

    Args:
        maps: feature maps of each block.
        kernels: side of each block's kernels, odd.
        pool: which blocks pool.
        hidden: units of the hidden layer.
        drop: probability that dropout zeroes one of its units in training.
        size: pixels, height and width of the one-channel input.
    """

    def __init__(
        self,
        maps: Sequence[int],
        kernels: Sequence[int],
        pool: Sequence[bool],
        hidden: int = 128,
        drop: float = 0.0,
        size: int = 28,
        num_classes: int = 10,
    ) -> None:
        if not len(maps) == len(kernels) == len(pool) or not maps:
            raise ConvlabError(
                f"model.maps={list(maps)}, model.kernels={list(kernels)} and model.pool={list(pool)} must "
                "have an entry for each block."
            )
        super().__init__()
        self.input_shape = (1, size, size)
        for number, (inputs, outputs) in enumerate(pairwise([1, *maps]), start=1):
            kernel = kernels[number - 1]
            self.add_module(f"conv{number}", nn.Conv2d(inputs, outputs, kernel, padding="same", bias=False))
            if pool[number - 1]:
                self.add_module(f"pool{number}", nn.MaxPool2d(2))
                size //= 2
            self.add_module(f"norm{number}", nn.BatchNorm2d(outputs))
            self.add_module(f"relu{number}", nn.ReLU())
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(maps[-1] * size * size, hidden)
        self.relu = nn.ReLU()
        self.dropout = dropout(drop)
        self.fc2 = nn.Linear(hidden, num_classes)
