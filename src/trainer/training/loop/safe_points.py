"""Boundary: the moments between two steps and between two epochs, at which a training can be saved and gone on with.

At such a moment no batch, no gradient and no validation is half done. Lightning saves in the middle of things, and has
to guess from its counters where it was.
"""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined,method-assign"

import time
from collections.abc import Callable, Sequence
from typing import Literal

from pytorch_lightning import Trainer
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from torch import Tensor

Place = Literal["step", "epoch"]  # between two steps of an epoch, or between two epochs
AT_ONCE, NEVER = float("-inf"), float("inf")


class Boundary:
    """Calls `reached` at every end of an epoch, and between two steps once `time.monotonic()` is `due_at`, or later.

    The last step of a training that ends inside an epoch counts too: from there a longer one would go on.
    """

    due_at = NEVER
    reached: Callable[[Place], None] | None = None
    # called with the losses of the steps that ran without hooks
    see_losses: Callable[[Sequence[Tensor]], None] | None = None

    def tell(self, place: Place) -> None:
        """A boundary is reached."""
        if self.reached:
            self.reached(place)


class BoundaryLoop(_TrainingEpochLoop):
    """Takes over what `trainer.fit_loop.epoch_loop` holds, and tells of boundaries; else it is Lightning's own.

    Args:
        trainer: Whose loop it is.
    """

    def __init__(self, trainer: Trainer) -> None:
        vars(self).update(vars(trainer.fit_loop.epoch_loop))  # counters, limits, the loops within
        self.boundary = Boundary()

    def _save_loggers_on_train_batch_end(self) -> None:
        """What Lightning does last in a step, after the validation that may be due then."""
        super()._save_loggers_on_train_batch_end()
        if self._num_ready_batches_reached() or self._should_accumulate():
            return
        if time.monotonic() >= self.boundary.due_at or self._is_training_done:
            self.boundary.tell("step")


def boundary_of(trainer: Trainer) -> Boundary:
    """The boundaries of a training that is about to begin."""
    fit = trainer.fit_loop
    if not isinstance(fit.epoch_loop, BoundaryLoop):
        fit.epoch_loop = BoundaryLoop(trainer)
    boundary: Boundary = fit.epoch_loop.boundary
    end_epoch = fit.on_advance_end

    def end_epoch_and_tell() -> None:
        end_epoch()
        boundary.tell("epoch")

    fit.on_advance_end = end_epoch_and_tell
    return boundary
