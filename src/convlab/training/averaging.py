"""A moving average of the weights, as TensorFlow keeps it."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from convlab.base.errors import ConvlabError


class AveragedWeights(WeightAveraging):
    """TensorFlow's exponential moving average: decay ramps up as min(decay, (1 + step) / (10 + step)).

    The average starts at the initial weights; `step` counts optimizer steps and is 1 in the first update
    (`tf.train.ExponentialMovingAverage` with `num_updates=global_step`). Validation and `best.ckpt` use
    the average; checkpoints hold the raw weights too, as `current_model_state`.
    """

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ConvlabError(f"averaging.decay={decay}: expected 0 <= decay < 1.")

        def average(averaged: Tensor, current: Tensor, num_averaged: Tensor | int) -> Tensor:
            step = float(num_averaged)
            return averaged.lerp(current, 1 - min(decay, (1 + step) / (10 + step)))

        super().__init__(avg_fn=average)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self._average_model is not None:
            # AveragedModel's first update copies; count the initial weights as that first one.
            self._average_model.update_parameters(pl_module)
