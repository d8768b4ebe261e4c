"""Training steps of one run that are computed together with those of other runs of its group."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from collections.abc import Iterator
from typing import Any

import torch
from pytorch_lightning import LightningModule

from trainer.core.callback import Callback, has_hook
from trainer.data.loading.tensor_loader import TensorLoader
from trainer.training.fused.member import Member, Request
from trainer.training.fused.segment import SegmentResult, SegmentWork
from trainer.training.fused.structure import describe_structure, is_in_memory, reason_not_fusable
from trainer.training.loop.eligibility import (
    reason_device_not_traceable,
    reason_hooks_required,
    reason_optimizer_not_traceable,
    reason_rates_not_traceable,
)
from trainer.training.loop.gradient_clipping import GradientClipper, GradientClippers
from trainer.training.loop.traced_steps import reason_pass_not_traceable

FastStep = Any  # trainer.training.loop.training_loop.FastStep; that module imports this one

MAX_STEPS = 500  # of a segment, so that a signal or a time limit is noticed


class FusedSteps:
    """The steps up to the next one after which something may be due.

    Weights, counters, learning rates and logged values are the same as with `FastStep.step`, except for rounding.

    Args:
        fast_step: Step of the run.
        member: The run in its group.
    """

    def __init__(self, fast_step: FastStep, member: Member) -> None:
        self.fast_step = fast_step
        self.trainer = fast_step.trainer
        self.member = member
        self.clippers = GradientClippers(self.trainer)
        member.reason_alone = member.reason_alone or self._reason_alone()

    def run(self) -> bool | None:
        """Run these steps; return True if something is due after the last one, None if the run must do them alone."""
        step = self.fast_step
        if self.member.reason_alone is not None or self.trainer.global_step == 0:  # the first step runs all hooks
            return None
        loader: TensorLoader = self._loader
        if step.fetcher.fetched == 0:
            loader.start_epoch()
        count = min(step.steps_until_due(), MAX_STEPS)
        logged = [index for index in range(count) if self._is_logged(index)]
        work = SegmentWork(
            *(step.task, self.trainer.optimizers[0], loader, count, self._list_rates(count)),
            *(tuple(self._list_limits()), frozenset(logged)),
        )
        algorithms = tuple(algorithm for algorithm, _ in work.limits)
        shapes = (tuple(loader.batch_sizes(count)), loader.inputs.shape[1:], loader.targets.shape[1:])
        structure = (type(work.optimizer), algorithms, describe_structure(step.task))
        key = (count, work.logged, shapes, structure)
        result: SegmentResult | None = self.member.compute(Request(key, self.trainer.global_step, work))
        if result is None:
            return None
        self.member.is_verified = True
        self._log(result, work, logged)
        return self._count(result, work)

    def _log(self, result: SegmentResult, work: SegmentWork, logged: list[int]) -> None:
        """Log the values of the steps, in the order in which hooks log them."""
        log = self.fast_step.log
        hooks = self.fast_step.hooks.callbacks
        losses = result.losses.tolist()
        norms = dict(zip(logged, result.norms.tolist(), strict=True))
        clipping_norms = result.clipping_norms.tolist()
        names = [
            name for callback in hooks["on_train_batch_start"] for name in _step_metrics(callback, self.trainer)
        ]
        later = [(callback, _step_metrics(callback, self.trainer)) for callback in hooks["on_before_optimizer_step"]]
        first = self.fast_step.loop._batches_that_stepped
        epoch = self.trainer.current_epoch
        rates = torch.tensor(work.rates).tolist()  # rounded as logged values
        latest: dict[str, float] = {}
        last = work.count - 1
        for index in [*logged, *([] if last in norms else [last])]:
            is_logged = index in norms
            latest |= dict.fromkeys(names, rates[index]) if is_logged else {}
            latest["train/loss"] = losses[index]
            clipping = iter(clipping_norms[index])
            for callback, metrics in later:
                if isinstance(callback, GradientClipper):
                    latest["train/grad_norm"] = next(clipping)
                elif is_logged:
                    latest |= dict.fromkeys(metrics, norms[index])
            if is_logged and self.trainer.loggers:
                log.add_row(first + index, {**latest, "epoch": epoch})
        for name, value in latest.items():
            log.log(name, value, prog_bar=name == "train/loss")

    def _count(self, result: SegmentResult, work: SegmentWork) -> bool:
        """Count the steps, and run what follows the last one; return True if something is due."""
        step = self.fast_step
        loop = step.loop
        count = work.count
        work.loader.position += count
        step.fetcher.fetched += count
        step.fetcher.done = step.fetcher.fetched >= (step.fetcher.length or 0)
        progress = loop.batch_progress
        progress.increment_by(count, is_last_batch=step.fetcher.done)
        optimizer_progress = loop.automatic_optimization.optim_progress.optimizer
        optimizer_progress.zero_grad.increment_by(count)
        optimizer_progress.step.increment_by(count)
        connector = self.trainer._logger_connector
        connector._first_loop_iter = False
        losses = result.totals.unbind()
        if loop.safe_points.on_losses and not bool(result.totals.isfinite().all()):
            loop.safe_points.on_losses(losses[:-1])
        if progress.is_last_batch:
            loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        step.state["log"] = step.log.log
        try:
            step.call("on_train_batch_end", {"loss": losses[-1]}, None, progress.current.ready - 1)
        finally:
            del step.state["log"]
        loop._batches_that_stepped += count - 1
        return bool(step.is_due(progress.current.ready - 1))

    def _list_rates(self, count: int) -> tuple[float, ...]:
        """Return the learning rate of each step, and advance the schedules that change it after each step."""
        group = self.trainer.optimizers[0].param_groups[0]
        schedules = [config for config in self.trainer.lr_scheduler_configs if config.interval == "step"]
        if not schedules:
            return (group["lr"],) * count
        rates = []
        for _ in range(count):
            rates.append(group["lr"])
            for config in schedules:
                config.scheduler.step()
        self.fast_step.loop.scheduler_progress.increment_by(count * len(schedules))
        return tuple(rates)

    def _list_limits(self) -> Iterator[tuple[str, float]]:
        for callback in self.clippers.callbacks:
            yield callback.algorithm, callback.value
        if self.clippers.clip_value:
            yield str(self.clippers.algorithm or "norm"), float(self.clippers.clip_value)

    def _is_logged(self, index: int) -> bool:
        interval = self.trainer.log_every_n_steps
        steps = self.fast_step.loop._batches_that_stepped + index + 1
        return bool(self.trainer.loggers and interval and steps % interval == 0)

    @property
    def _loader(self) -> Any:
        return self.fast_step.fetcher.combined_loader.flattened[0]

    def _reason_alone(self) -> str | None:
        """Return the reason why the steps of this run cannot be computed with those of others, or None."""
        trainer = self.trainer
        step = self.fast_step
        loaders = step.fetcher.combined_loader.flattened
        if reason := reason_not_fusable(step.task) or reason_hooks_required(trainer, step.hooks):
            return reason
        if reason := reason_device_not_traceable(trainer) or reason_rates_not_traceable(trainer):
            return reason
        if reason := reason_optimizer_not_traceable(trainer.optimizers[0]):
            return reason
        reasons = {
            "the optimizer has several parameter groups": len(trainer.optimizers[0].param_groups) != 1,
            "the data are not tensors in memory": len(loaders) != 1 or not is_in_memory(loaders[0]),
            "the task overrides lr_scheduler_step": has_hook(step.task, "lr_scheduler_step", LightningModule),
            "a schedule is not advanced at every step": any(
                config.interval == "step" and (config.frequency != 1 or config.reduce_on_plateau)
                for config in trainer.lr_scheduler_configs
            ),
            "a callback clips gradients in its own way": not all(
                hasattr(callback, "algorithm") and hasattr(callback, "value") for callback in self.clippers.callbacks
            ),
            "batches are not read by the training loop": step.cycle is None or not step.in_place,
        }
        return next((reason for reason, applies in reasons.items() if applies), None) or reason_pass_not_traceable(
            trainer
        )


def _step_metrics(callback: Any, trainer: Any) -> list[str]:
    return [*callback.step_metrics(trainer)] if isinstance(callback, Callback) and trainer.loggers else []
