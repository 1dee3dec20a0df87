"""The networks of `conf/model/` layer by layer, so that `convlab summary` needs no torch.

Each function has the arguments of the module it describes, and its layers the module's names; the tests
hold every description against the live module. A network that is missing here is described from its
module instead (`convlab.models.describe`), which takes some seconds.
"""

from collections.abc import Callable
from typing import Literal

from convlab.arithmetic.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Pool,
    drop_probability,
)
from convlab.arithmetic.network import Network

Pooling = Literal["max", "average"]
RELU = Activation("relu")


def fully_connected(num_inputs: int = 784, hidden: int = 500, num_classes: int = 10) -> Network:
    """784-500-10."""
    return Network(
        input=(num_inputs,),
        layers={
            "flatten": Flatten(),
            "fc1": Dense(hidden),
            "relu1": RELU,
            "fc2": Dense(num_classes),
        },
    )


def lenet5(pooling: Pooling = "max", num_classes: int = 10) -> Network:
    """LeNet-5 with ReLU and a C3 that sees all maps of S2."""
    return Network(
        input=(1, 32, 32),
        layers={
            "c1": Conv(6, 5),
            "relu1": RELU,
            "s2": Pool(2, mode=pooling),
            "c3": Conv(16, 5),
            "relu3": RELU,
            "s4": Pool(2, mode=pooling),
            "c5": Conv(120, 5),
            "relu5": RELU,
            "flatten": Flatten(),
            "f6": Dense(84),
            "relu6": RELU,
            "output": Dense(num_classes),
        },
    )


def lenet(
    drop: float = 0.5, keep: float | None = None, pooling: Pooling = "max", num_classes: int = 10
) -> Network:
    """The wider LeNet for 28x28 MNIST."""
    return Network(
        input=(1, 28, 28),
        layers={
            "conv1": Conv(32, 5, padding="SAME"),
            "relu1": RELU,
            "pool1": Pool(2, mode=pooling),
            "conv2": Conv(64, 5, padding="SAME"),
            "relu2": RELU,
            "pool2": Pool(2, mode=pooling),
            "flatten": Flatten(),
            "fc1": Dense(512),
            "relu3": RELU,
            "dropout": Dropout(drop_probability(drop, keep)),
            "fc2": Dense(num_classes),
        },
    )


def linear_head(num_inputs: int, num_classes: int, drop: float = 0.0, keep: float | None = None) -> Network:
    """One linear layer on bottleneck vectors."""
    return Network(
        (num_inputs,), {"dropout": Dropout(drop_probability(drop, keep)), "fc": Dense(num_classes)}
    )


def mlp_head(
    num_inputs: int, num_classes: int, hidden: int = 256, drop: float = 0.5, keep: float | None = None
) -> Network:
    """A hidden layer on bottleneck vectors."""
    return Network(
        input=(num_inputs,),
        layers={
            "fc1": Dense(hidden),
            "relu1": RELU,
            "dropout": Dropout(drop_probability(drop, keep)),
            "fc2": Dense(num_classes),
        },
    )


# By the `_target_` of conf/model/*.yaml.
ARCHITECTURES: dict[str, Callable[..., Network]] = {
    "convlab.models.fully_connected.FullyConnected": fully_connected,
    "convlab.models.lenet.LeNet5": lenet5,
    "convlab.models.lenet.LeNet": lenet,
    "convlab.models.heads.LinearHead": linear_head,
    "convlab.models.heads.MLPHead": mlp_head,
}
