"""Log of the training speed."""

import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer

from trainer.callbacks.plots.media import get_writers
from trainer.core.callback import Callback
from trainer.core.metric_name import make_tensorboard_tag


class Throughput(Callback):
    """Log `steps_per_second` in TensorBoard; the time of validations is included.

    It is not written to `metrics.csv`, whose content is the same for two equal runs.

    Args:
        every_seconds: Least time between two points of the curve.
    """

    affects_training = False
    skips_steps = True  # `trainer.training.loop` may call it after several steps at once

    def __init__(self, *, every_seconds: float = 2.0) -> None:
        self.every_seconds = every_seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start_interval(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if time.monotonic() >= self._due_at:
            self._log_rate(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._log_rate(trainer)

    def _start_interval(self, trainer: Trainer) -> None:
        self._interval_start = time.monotonic()
        self._first_interval_step = trainer.global_step
        self._due_at = self._interval_start + self.every_seconds

    def _log_rate(self, trainer: Trainer) -> None:
        steps = trainer.global_step - self._first_interval_step
        if steps:
            rate = steps / (time.monotonic() - self._interval_start)
            for writer in get_writers(trainer):
                writer.add_scalar(make_tensorboard_tag("steps_per_second"), rate, trainer.global_step)
            self._start_interval(trainer)
