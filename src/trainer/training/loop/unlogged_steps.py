"""Stretch: the steps that nobody looks at, from one that is logged to the next, made in a row."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

from time import monotonic
from typing import Any

import torch
from torch import Tensor

from trainer.training.loop.eligibility import watched
from trainer.training.loop.step_logging import is_logged, lightning_logs

LeanStep = Any  # of trainer.training.loop.training_loop, which imports this

SECONDS = 0.1  # in which nothing is shown


class Stretch:
    """Makes the steps before one that is logged, or after which something may be due.

    Weights, counters, schedules and logged values are those of `LeanStep.step`. No hook is called: those of the
    callbacks that a run has by default do nothing at such steps, those that bound gradients are done by their parts
    (`trainer.training.loop.gradient_clipping`), and any other makes every step a single one.

    Args:
        lean: Makes single steps.
    """

    def __init__(self, lean: LeanStep) -> None:
        self.lean, self.trainer, self.recorded = lean, lean.trainer, lean.loop.recorded
        self.is_allowed = watched(self.trainer, lean.hooks) is None and all(
            config.frequency == 1 for config in self.trainer.lr_scheduler_configs if config.interval == "step"
        )

    def run(self) -> bool:
        """Make these steps, if there are any; returns whether something is due after the last one."""
        steps = self._room() if self.is_allowed else 0
        if steps < 1:
            return False
        lean, loop, losses = self.lean, self.lean.loop, list[Tensor]()
        due = False
        self.recorded.begin(lean)
        self.trainer._logger_connector._first_loop_iter = False
        lean.state["_current_fx_name"], lean.state["log"] = "training_step", lean.log.note
        shown_at = monotonic() + SECONDS
        try:
            while len(losses) < steps and not due:
                losses.append(self._step())
                now = monotonic()
                if now > shown_at:
                    steps = len(losses)
                due = self.trainer.should_stop or self.trainer.received_sigterm or now >= loop.boundary.due_at
            self.recorded.leave(lean)
        finally:
            del lean.state["log"]
            progress = loop.automatic_optimization.optim_progress.optimizer
            loop.batch_progress.increment_by(len(losses))
            progress.zero_grad.increment_by(len(losses))
            progress.step.increment_by(len(losses))
            loop._batches_that_stepped += len(losses) - due  # Lightning counts a step after which something was due
        if due:
            lean.log.keep_step(is_logged(self.trainer))
        if loop.boundary.see_losses:
            loop.boundary.see_losses(losses)
        return due

    def _step(self) -> Tensor:
        lean = self.lean
        lean.log.batch = batch = lean.next()
        with torch.no_grad():
            loss = self.recorded.loss(lean, batch)
            self.recorded.bound()
            self.recorded.update()
        if lean.steps_schedules:
            lean.loop.update_lr_schedulers("step", update_plateau_schedulers=False)
        if lightning_logs(self.trainer):
            lean.log.keep_step(due=False)
        return loss

    def _room(self) -> int:
        """How many steps there are before one that is logged, or after which something may be due."""
        lean, every = self.lean, self.trainer.log_every_n_steps
        if self.trainer.global_step == 0:  # the first step shows its batch, and tells schedules that it was made
            return 0
        room = lean.room() - 1
        return min(room, every - 1 - lean.loop._batches_that_stepped % every) if every else room
