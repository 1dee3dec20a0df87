"""How a network's weights start, where it is not PyTorch's own way."""

from torch import nn

from convlab.errors import ConvlabError


def truncated_normal(network: nn.Module, std: float) -> None:
    """Start every weight from a normal distribution cut at two standard deviations, every bias from zero.

    A draw beyond 2 `std` is made again until it is within, so the weights' own standard deviation is
    0.880 `std`. Weights are the parameters of more than one dimension; batch norm's scales keep their ones.
    Source: `tf.truncated_normal_initializer`. Raises ConvlabError unless `std` is above zero.
    """
    if std <= 0:
        raise ConvlabError(f"init.std={std}: expected a standard deviation above 0, such as 0.1.")
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.trunc_normal_(parameter, std=std, a=-2 * std, b=2 * std)
        elif name.rpartition(".")[2] == "bias":
            nn.init.zeros_(parameter)
