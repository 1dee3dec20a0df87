"""Dropout, by the probability to drop a unit or to keep it; torch is imported where it is built."""

from typing import TYPE_CHECKING

from convlab.base.errors import ConvlabError

if TYPE_CHECKING:
    from torch import nn


def dropout(drop: float, keep: float | None = None) -> "nn.Dropout":
    """In training, each value is zero with probability `drop`, or else divided by 1 - drop; later, itself.

    Source: Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", in
    the inverted form that `tf.nn.dropout` and `torch.nn.Dropout` have. Raises ConvlabError as
    `drop_probability` does.
    """
    from torch import nn

    return nn.Dropout(drop_probability(drop, keep))


def drop_probability(drop: float, keep: float | None = None) -> float:
    """The probability that dropout zeroes a value: `drop`, or 1 - `keep` (TensorFlow 1's way) where given.

    Raises ConvlabError for a drop outside [0, 1) and a keep outside (0, 1].
    """
    if keep is not None:
        if not 0 < keep <= 1:
            raise ConvlabError(f"model.keep={keep}: the probability to keep a unit is above 0, at most 1.")
        return 1 - keep
    if not 0 <= drop < 1:
        raise ConvlabError(f"model.drop={drop}: the probability to drop a unit is from 0 up, below 1.")
    return drop
