"""A training so small that its numbers can be worked out by hand."""

import functools

import pytorch_lightning as pl
import torch
from torch import nn

from convlab.data.batches import Batches


class Points(pl.LightningDataModule):
    """Twelve points in the plane, in two classes that a line separates."""

    def __init__(self, batch_size: int = 4) -> None:
        super().__init__()
        self.inputs = torch.tensor([[x, y] for x in (-2.0, -1.0, 1.0, 2.0) for y in (-1.0, 0.0, 1.0)])
        self.labels = (self.inputs[:, 0] > 0).long()
        self.batch_size = batch_size

    def train_dataloader(self):
        return Batches(self.inputs, self.labels, self.batch_size, shuffle_seed=1)

    def val_dataloader(self):
        return Batches(self.inputs, self.labels, 12)


def fit(classifier, data=None, **trainer):
    settings = {"max_epochs": 1, "logger": False, "enable_checkpointing": False} | trainer
    run = pl.Trainer(
        accelerator="cpu",
        devices=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )
    run.fit(classifier, data or Points())
    return run


def sgd(**options):
    return functools.partial(torch.optim.SGD, **options)


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, 2)
