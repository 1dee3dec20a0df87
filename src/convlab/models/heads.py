"""Classifiers on cached bottleneck vectors."""

from torch import nn

from convlab.models.dropout import dropout


class LinearHead(nn.Sequential):
    """One linear layer on n d vectors: what the original transfer-learning example retrains."""

    def __init__(
        self, num_inputs: int, num_classes: int, drop: float = 0.0, keep: float | None = None
    ) -> None:
        super().__init__()
        self.dropout = dropout(drop, keep)
        self.fc = nn.Linear(num_inputs, num_classes)


class MLPHead(nn.Sequential):
    """Hidden ReLU layer with dropout on n d vectors."""

    def __init__(
        self,
        num_inputs: int,
        num_classes: int,
        hidden: int = 256,
        drop: float = 0.5,
        keep: float | None = None,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(num_inputs, hidden)
        self.relu1 = nn.ReLU()
        self.dropout = dropout(drop, keep)
        self.fc2 = nn.Linear(hidden, num_classes)
