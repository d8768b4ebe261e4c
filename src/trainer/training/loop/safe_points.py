"""Moments between two steps or two epochs at which a training can be saved and resumed exactly.

At a safe point no batch, gradient or validation is unfinished. Lightning also saves in the middle of a step and then
reconstructs the position from its counters.
"""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined,method-assign"

import time
from collections.abc import Callable, Sequence
from typing import Literal

from pytorch_lightning import Trainer
from torch import Tensor

from trainer.core.compat import TrainingEpochLoop

SafePointKind = Literal["step", "epoch"]  # between two steps of an epoch, or between two epochs
IMMEDIATELY = float("-inf")
NEVER = float("inf")


class SafePoints:
    """Calls of `on_safe_point` at the end of each epoch, and after a step if `time.monotonic()` has reached `due_at`.

    The last step of a training that ends inside an epoch is a safe point too: a longer training resumes there.
    """

    due_at = NEVER
    on_safe_point: Callable[[SafePointKind], None] | None = None
    on_losses: Callable[[Sequence[Tensor]], None] | None = None  # receives the losses of steps without hooks

    def notify(self, kind: SafePointKind) -> None:
        """Call `on_safe_point` if it is set."""
        if self.on_safe_point:
            self.on_safe_point(kind)


class SafePointLoop(TrainingEpochLoop):
    """Lightning's epoch loop with safe points; it takes over the attributes of `trainer.fit_loop.epoch_loop`."""

    def __init__(self, trainer: Trainer) -> None:
        vars(self).update(vars(trainer.fit_loop.epoch_loop))
        self.safe_points = SafePoints()

    def _save_loggers_on_train_batch_end(self) -> None:
        """Save loggers, which is Lightning's last action in a step, after its validation; then notify."""
        super()._save_loggers_on_train_batch_end()
        if self._num_ready_batches_reached() or self._should_accumulate():
            return
        if time.monotonic() >= self.safe_points.due_at or self._is_training_done:
            self.safe_points.notify("step")


def install_safe_points(trainer: Trainer) -> SafePoints:
    """Return the safe points of a training that is about to start."""
    fit = trainer.fit_loop
    if not isinstance(fit.epoch_loop, SafePointLoop):
        fit.epoch_loop = SafePointLoop(trainer)
    safe_points: SafePoints = fit.epoch_loop.safe_points
    end_epoch = fit.on_advance_end

    def end_epoch_and_notify() -> None:
        end_epoch()
        safe_points.notify("epoch")

    fit.on_advance_end = end_epoch_and_notify
    return safe_points
