"""The fully connected network that the convolutional ones are measured against."""

from torch import nn


class FullyConnected(nn.Sequential):
    """Pixels -> hidden ReLU layer -> logits; 784-500-10 has 397,510 parameters.

    Args:
        num_inputs: values per example, once flattened (28 * 28 = 784).
        hidden: units of the hidden layer.
    """

    def __init__(self, num_inputs: int = 784, hidden: int = 500, num_classes: int = 10) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(num_inputs, hidden)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(hidden, num_classes)
