"""LeNet-5, and the wider LeNet for 28x28 MNIST."""

from torch import nn

from convlab.base.errors import ConvlabError
from convlab.models.dropout import dropout

POOLING: dict[str, type[nn.MaxPool2d] | type[nn.AvgPool2d]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class LeNet5(nn.Sequential):
    """LeNet-5 with ReLU and max (or average) pooling; 61,706 parameters.

    Input n 1 32 32. The layers keep the names of LeCun, Bottou, Bengio, Haffner (1998), "Gradient-based
    learning applied to document recognition", section II.B. C3 sees all six maps of S2, and the output
    is a linear layer in place of the paper's radial basis functions; `LeNet5As1998` is the paper's own.

    Args:
        pooling: "max" or "average", in windows of 2x2.
    """

    def __init__(self, pooling: str = "max", num_classes: int = 10) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, kernel_size=5)
        self.relu1 = nn.ReLU()
        self.s2 = _pool(pooling)
        self.c3 = nn.Conv2d(6, 16, kernel_size=5)
        self.relu3 = nn.ReLU()
        self.s4 = _pool(pooling)
        self.c5 = nn.Conv2d(16, 120, kernel_size=5)
        self.relu5 = nn.ReLU()
        self.flatten = nn.Flatten()
        self.f6 = nn.Linear(120, 84)
        self.relu6 = nn.ReLU()
        self.output = nn.Linear(84, num_classes)


class LeNet(nn.Sequential):
    """The MNIST LeNet of classic course work; 1,663,370 parameters.

    Input n 1 28 28: 5x5 SAME convolution to 32 maps, 2x2 pooling, 5x5 SAME convolution to 64 maps,
    2x2 pooling, 512 fully connected units, dropout, logits.

    Args:
        drop: probability that dropout zeroes a unit in training.
        keep: the same as 1 - drop, as TensorFlow 1 has it; takes the place of `drop` when given.
        pooling: "max" or "average".
    """

    def __init__(
        self, drop: float = 0.5, keep: float | None = None, pooling: str = "max", num_classes: int = 10
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=5, padding="same")
        self.relu1 = nn.ReLU()
        self.pool1 = _pool(pooling)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=5, padding="same")
        self.relu2 = nn.ReLU()
        self.pool2 = _pool(pooling)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(64 * 7 * 7, 512)
        self.relu3 = nn.ReLU()
        self.dropout = dropout(drop, keep)
        self.fc2 = nn.Linear(512, num_classes)


def _pool(pooling: str) -> nn.Module:
    if pooling not in POOLING:
        raise ConvlabError(f"model.pooling={pooling}: choose {' or '.join(POOLING)}.")
    return POOLING[pooling](2)
