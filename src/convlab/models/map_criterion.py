"""The loss that LeNet-5 was trained with."""

import math

import torch
from torch import Tensor, nn

from convlab.base.errors import ConvlabError


class MAPCriterion(nn.Module):
    """The mean of y_D + log(exp(-j) + sum_i exp(-y_i)) for logits -y (n classes) and labels D (n).

    Maximum a posteriori: it pulls the right class's distance y_D down and pushes the others up, those
    the less that are beyond `j`. It is softmax cross-entropy with one more class, rubbish, of logit -j.
    Source: LeCun, Bottou, Bengio, Haffner (1998), equation 9. Raises ConvlabError unless `j` is above zero.
    """

    def __init__(self, j: float) -> None:
        super().__init__()
        if not 0 < j < math.inf:
            raise ConvlabError(f"loss.j={j}: the constant of the rubbish class is above 0, such as 1.0.")
        self.j = float(j)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        right = logits.gather(1, labels[:, None])[:, 0]
        rubbish = torch.full_like(right, -self.j)
        return (torch.logaddexp(logits.logsumexp(1), rubbish) - right).mean()
