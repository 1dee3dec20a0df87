"""The training procedure of PyTorch's MNIST example, stopping after the first epoch that is good enough.

Written after the description and settings of github.com/pytorch/examples, mnist/main.py (BSD 3-clause): two
3x3 convolutions of 32 and 64 maps, 2x2 max pooling, dropout 0.25, a layer of 128 units, dropout 0.5,
log-softmax; Adadelta at rate 1, times 0.7 after each epoch; batches of 64 from a DataLoader over
torchvision's MNIST with ToTensor and Normalize; the whole test set after each epoch, in batches of 1,000; at
most 14 epochs.

usage: python pytorch_mnist_example.py ROOT [--seed 1] [--stop-at 0.99] [--epochs 14]
ROOT is torchvision's: the four archives lie in ROOT/MNIST/raw/. Prints the accuracy after each epoch.
"""

import argparse

import convlab  # noqa: F401  isort: skip  before torchvision, beside a build of torch without its operators

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


class Net(nn.Module):
    """1 28 28 -> logarithms of ten probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return functional.log_softmax(self.classifier(self.features(images)), dim=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop-at", type=float, default=0.99)
    parser.add_argument("--epochs", type=int, default=14)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train = datasets.MNIST(options.root, train=True, download=True, transform=transform)
    test = datasets.MNIST(options.root, train=False, transform=transform)
    network = Net()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for epoch in range(1, options.epochs + 1):
        network.train()
        for images, labels in DataLoader(train, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            functional.nll_loss(network(images), labels).backward()
            optimizer.step()
        schedule.step()
        accuracy = measure(network, DataLoader(test, batch_size=1000))
        print(f"epoch {epoch}: {accuracy:.4f}", flush=True)
        if accuracy >= options.stop_at:
            return


def measure(network: Net, loader: DataLoader) -> float:
    network.eval()
    with torch.no_grad():
        right = sum((network(images).argmax(1) == labels).sum().item() for images, labels in loader)
    return right / len(loader.dataset)


if __name__ == "__main__":
    main()
