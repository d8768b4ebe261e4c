"""Training steps between two logged steps, which run without calling hooks."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from time import monotonic
from typing import Any

import torch
from torch import Tensor

from trainer.training.loop.eligibility import reason_hooks_required
from trainer.training.loop.step_logging import has_lightning_results, is_logging_step

FastStep = Any  # trainer.training.loop.training_loop.FastStep; that module imports this one

MAX_UNLOGGED_SECONDS = 0.1  # time without an update of the progress bar


class UnloggedSteps:
    """The steps up to the next one that is logged, or after which a validation or checkpoint may be due.

    Weights, counters, learning rates and logged values are the same as with `FastStep.step`. No hook is called. The
    default callbacks do nothing at such steps, and gradient clipping is called directly. Any other callback with a
    hook in a step disables these steps.
    """

    def __init__(self, fast_step: FastStep) -> None:
        self.fast_step = fast_step
        self.trainer = fast_step.trainer
        self.traced_steps = fast_step.loop.traced_steps
        schedules = [config for config in self.trainer.lr_scheduler_configs if config.interval == "step"]
        self.is_allowed = (
            reason_hooks_required(self.trainer, fast_step.hooks) is None
            and self.trainer.accumulate_grad_batches == 1
            and all(config.frequency == 1 for config in schedules)
        )

    def run(self) -> bool:
        """Run these steps, if there are any; return True if something is due after the last one."""
        steps = self._count_steps() if self.is_allowed else 0
        if steps < 1:
            return False
        fast_step = self.fast_step
        loop = fast_step.loop
        losses: list[Tensor] = []
        due = False
        self.traced_steps.start(fast_step)
        self.trainer._logger_connector._first_loop_iter = False
        fast_step.state["_current_fx_name"] = "training_step"
        fast_step.state["log"] = fast_step.log.log
        deadline = monotonic() + MAX_UNLOGGED_SECONDS
        try:
            while len(losses) < steps and not due:
                losses.append(self._step())
                now = monotonic()
                if now > deadline:
                    steps = len(losses)
                due = self.trainer.should_stop or self.trainer.received_sigterm or now >= loop.safe_points.due_at
            self.traced_steps.publish_results(fast_step)
        finally:
            del fast_step.state["log"]
            progress = loop.automatic_optimization.optim_progress.optimizer
            loop.batch_progress.increment_by(len(losses))
            progress.zero_grad.increment_by(len(losses))
            progress.step.increment_by(len(losses))
            loop._batches_that_stepped += len(losses) - due  # Lightning counts a step with something due itself
        if due:
            fast_step.log.commit_step(is_logging_step(self.trainer))
        if loop.safe_points.on_losses:
            loop.safe_points.on_losses(losses)
        return due

    def _step(self) -> Tensor:
        fast_step = self.fast_step
        batch = fast_step.next()
        fast_step.log.batch = batch
        with torch.no_grad():
            loss = self.traced_steps.compute_loss(fast_step, batch)
            self.traced_steps.clip_gradients()
            self.traced_steps.update()
        if fast_step.steps_schedules:
            fast_step.loop.update_lr_schedulers("step", update_plateau_schedulers=False)
        if has_lightning_results(self.trainer):
            fast_step.log.commit_step(due=False)
        return loss

    def _count_steps(self) -> int:
        if self.trainer.global_step == 0:  # with hooks: callbacks log its batch, schedulers detect `optimizer.step`
            return 0
        steps = self.fast_step.steps_until_due() - 1
        interval = self.trainer.log_every_n_steps
        if not interval:
            return steps
        return min(steps, interval - 1 - self.fast_step.loop._batches_that_stepped % interval)
