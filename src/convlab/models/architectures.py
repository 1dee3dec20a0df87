"""The networks of `conf/model/` layer by layer, so that `convlab summary` needs no torch.

Each function has the arguments of the module it describes, and its layers the module's names; the tests
hold every description against the live module. A network that is missing here is described from its
module instead (`convlab.models.describe`), which takes some seconds.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from convlab.arithmetic.layers import Activation, BatchNorm, Dense, Dropout, Flatten, RadialBasis
from convlab.arithmetic.network import Chain, Network
from convlab.arithmetic.sliding import Conv, Pool, Subsampling, TableConv
from convlab.models.connection_table import C3_TABLE
from convlab.models.dropout import drop_probability

Pooling = Literal["max", "average"]
RELU = Activation("relu")
VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # maps
SQUASH = Activation("scaled tanh")


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


def lenet5_1998() -> Network:
    """LeNet-5 as published."""
    return Network(
        input=(1, 32, 32),
        layers={
            "c1": Conv(6, 5),
            "squash1": SQUASH,
            "s2": Subsampling(2),
            "squash2": SQUASH,
            "c3": TableConv(C3_TABLE, 5),
            "squash3": SQUASH,
            "s4": Subsampling(2),
            "squash4": SQUASH,
            "c5": Conv(120, 5),
            "squash5": SQUASH,
            "flatten": Flatten(),
            "f6": Dense(84),
            "squash6": SQUASH,
            "output": RadialBasis(10),
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


def convnet(
    maps: Sequence[int],
    kernels: Sequence[int],
    pool: Sequence[bool],
    hidden: int = 128,
    drop: float = 0.0,
    size: int = 28,
    num_classes: int = 10,
) -> Network:
    """Blocks of convolution, perhaps pooling, batch norm and ReLU."""
    layers: Chain = {}
    for number, (outputs, kernel, pools) in enumerate(zip(maps, kernels, pool, strict=True), start=1):
        layers[f"conv{number}"] = Conv(outputs, kernel, padding="SAME", bias=False)
        if pools:
            layers[f"pool{number}"] = Pool(2)
        layers |= {f"norm{number}": BatchNorm(), f"relu{number}": RELU}
    layers |= {"flatten": Flatten(), "fc1": Dense(hidden), "relu": RELU, "dropout": Dropout(drop)}
    return Network((1, size, size), {**layers, "fc2": Dense(num_classes)})


def vgg16(num_classes: int = 1000, drop: float = 0.5) -> Network:
    """VGG-16: five stages of 3x3 convolutions."""
    layers: Chain = {}
    for stage, widths in enumerate(VGG16_STAGES, start=1):
        for place, maps in enumerate(widths, start=1):
            layers[f"conv{stage}_{place}"] = Conv(maps, 3, padding=1)
            layers[f"relu{stage}_{place}"] = RELU
        layers[f"pool{stage}"] = Pool(2)
    layers["flatten"] = Flatten()
    for number in (6, 7):
        layers |= {f"fc{number}": Dense(4096), f"relu{number}": RELU, f"drop{number}": Dropout(drop)}
    return Network((3, 224, 224), {**layers, "fc8": Dense(num_classes)})


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
    "convlab.models.lenet5_1998.LeNet5As1998": lenet5_1998,
    "convlab.models.lenet.LeNet": lenet,
    "convlab.models.convnet.ConvNet": convnet,
    "convlab.models.vgg.VGG16": vgg16,
    "convlab.models.heads.LinearHead": linear_head,
    "convlab.models.heads.MLPHead": mlp_head,
}
