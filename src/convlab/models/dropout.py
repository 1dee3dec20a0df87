"""Dropout, by the probability to drop a unit or to keep it."""

from torch import nn

from convlab.arithmetic.layers import drop_probability


def dropout(drop: float, keep: float | None = None) -> nn.Dropout:
    """In training, each value is zero with probability `drop`, or else divided by 1 - drop; later, itself.

    Source: Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", in
    the inverted form that `tf.nn.dropout` and `torch.nn.Dropout` have. Raises ConvlabError as
    `drop_probability` does.
    """
    return nn.Dropout(drop_probability(drop, keep))
