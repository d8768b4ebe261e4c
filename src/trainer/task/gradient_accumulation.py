"""Gradient accumulation with the exact mean over the batches of each step, also at the end of an epoch."""
# Lightning objects have attributes that are not declared
# mypy: disable-error-code="attr-defined"

import math
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loops.optimization.automatic import ClosureResult


def count_batches_in_step(trainer: Trainer, batch_idx: int) -> int:
    """Return the number of batches in the current step.

    It is `trainer.accumulate_grad_batches`, or less at the end of an epoch whose number of batches is not a multiple
    of it. (If the length of the epoch is unknown, the smaller number is only known at its last batch.)

    Args:
        trainer: The trainer, during a training step.
        batch_idx: Index of the batch in its epoch.
    """
    full = trainer.accumulate_grad_batches
    total = trainer.num_training_batches
    previous = batch_idx % full  # batches of this step that are complete
    if trainer.is_last_batch:
        return previous + 1
    return full if math.isinf(total) else min(full, int(total) - (batch_idx - previous))


def install_loss_scaling(trainer: Trainer) -> None:
    """Make Lightning divide each loss by the number of batches in its step.

    Lightning 2.6 divides by `accumulate_grad_batches` also if the step has fewer batches, which makes it too small.
    """
    vars(trainer.fit_loop.epoch_loop.automatic_optimization)["output_result_cls"] = _ClosureResultFactory(trainer)


class _ClosureResultFactory:
    """Replacement of Lightning's class `ClosureResult` that scales the loss."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def from_training_step_output(self, output: Any, normalize: int = 1) -> ClosureResult:
        trainer = self.trainer
        if normalize == 1 or trainer.strategy.handles_gradient_accumulation:
            return ClosureResult.from_training_step_output(output, normalize)
        batches = count_batches_in_step(trainer, trainer.fit_loop.batch_idx)
        if batches < normalize and math.isinf(trainer.num_training_batches):  # earlier losses were divided by more
            scale_gradients(trainer.optimizers, normalize / batches)
        return ClosureResult.from_training_step_output(output, batches)


def scale_gradients(optimizers: Any, factor: float) -> None:
    """Multiply the gradients of all parameters of the optimizers."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad.mul_(factor)
