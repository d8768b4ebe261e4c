"""Throughput: how fast the training goes."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from trainer.callbacks.plots.tensorboard import boards


class Throughput(Callback):
    """Show `steps_per_second` in TensorBoard; validations within that time are counted in.

    It stands there alone, and not in `metrics.csv`: two runs of the same numbers take different times.

    Args:
        every_seconds: Least time between two points of the curve.
    """

    affects_training = False
    skips_steps = True  # `trainer.training.loop` may call it after several steps at once

    def __init__(self, *, every_seconds: float = 2.0) -> None:
        self.every_seconds = every_seconds
        self._since, self._steps, self._due_at = 0.0, 0, float("inf")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if time.monotonic() >= self._due_at:
            self._tell(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell(trainer)

    def _begin(self, trainer: Trainer) -> None:
        self._since, self._steps = time.monotonic(), trainer.global_step
        self._due_at = self._since + self.every_seconds

    def _tell(self, trainer: Trainer) -> None:
        steps = trainer.global_step - self._steps
        if steps:
            for board in boards(trainer):
                board.add_scalar("steps_per_second", steps / (time.monotonic() - self._since), trainer.global_step)
            self._begin(trainer)
