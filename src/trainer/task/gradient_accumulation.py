"""Gradients of several batches: each step is made from the mean over its batches, also the last one of an epoch."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

import math
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loops.optimization.automatic import ClosureResult


def batches_in_step(trainer: Trainer, batch_idx: int) -> int:
    """Return from how many batches the step under way is made.

    They are `trainer.accumulate_grad_batches`, and fewer at the end of an epoch whose number of batches is no multiple
    of it. (At the end of one whose length is not known, it is known with the last batch alone.)

    Args:
        trainer: In a training step.
        batch_idx: Of the batch in its epoch.
    """
    most, total = trainer.accumulate_grad_batches, trainer.num_training_batches
    before = batch_idx % most  # batches of this step that came before this one
    if trainer.is_last_batch:
        return before + 1
    return most if math.isinf(total) else min(most, int(total) - (batch_idx - before))


def divide_by_batches(trainer: Trainer) -> None:
    """Let Lightning divide each loss by the number of batches of its step.

    Lightning 2.6 divides by `accumulate_grad_batches` also if the step has fewer, which makes it too small.
    """
    vars(trainer.fit_loop.epoch_loop.automatic_optimization)["output_result_cls"] = _Results(trainer)


class _Results:
    """Makes what Lightning keeps of a training step, in place of its `ClosureResult`.

    Args:
        trainer: Whose steps these are.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def from_training_step_output(self, output: Any, normalize: int = 1) -> ClosureResult:
        trainer = self.trainer
        if normalize == 1 or trainer.strategy.handles_gradient_accumulation:
            return ClosureResult.from_training_step_output(output, normalize)
        batches = batches_in_step(trainer, trainer.fit_loop.batch_idx)
        if batches < normalize and math.isinf(trainer.num_training_batches):  # the losses before were divided by more
            multiply_gradients(trainer.optimizers, normalize / batches)
        return ClosureResult.from_training_step_output(output, batches)


def multiply_gradients(optimizers: Any, factor: float) -> None:
    """Multiply the gradients of all weights of these optimizers."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad.mul_(factor)
