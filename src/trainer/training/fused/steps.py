"""Training steps of one run that are computed together with those of other runs of its group."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

import logging
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

import torch

from trainer.core.callback import Callback, StepMetric
from trainer.core.errors import UserError
from trainer.data.loading.tensor_loader import TensorLoader
from trainer.training.fused.batches import count_examples
from trainer.training.fused.current import current_member
from trainer.training.fused.eligibility import reason_to_train_alone
from trainer.training.fused.stack import copy_state, copy_weights
from trainer.training.fused.step_schedules import StepSchedules
from trainer.training.fused.structure import describe_structure
from trainer.training.fused.work import FusionError, Request, SegmentResult, SegmentWork, StepPart
from trainer.training.loop.eligibility import has_module_hooks
from trainer.training.loop.gradient_clipping import GradientClipper, GradientClippers

if TYPE_CHECKING:
    from trainer.training.fused.member import Member

FastStep = Any  # trainer.training.loop.training_loop.FastStep; that module imports this one

log = logging.getLogger(__name__)

MAX_STEPS = 500  # of a segment, so that a signal or a time limit is noticed
MAX_BYTES = 2**28  # of the examples of a segment, for all runs


class FusedSteps:
    """The steps up to the next one after which something may be due.

    Weights, counters, learning rates and logged values are the same as with `FastStep.step`, except for rounding.

    Args:
        fast_step: Step of the run.
        member: The run in its group.
    """

    def __init__(self, fast_step: FastStep, member: "Member") -> None:
        self.fast_step = fast_step
        self.trainer = fast_step.trainer
        self.member = member
        if reason := reason_to_train_alone(fast_step):
            self._train_alone(reason)
            return
        self._is_verified = False  # whether the group has compared a pass with one alone
        loader = self._loader
        self._schedules = StepSchedules(self.trainer)
        self._limits = tuple(self._list_limits())
        batch_bytes = 4 * loader.batch_size * loader.inputs[0].numel() * member.group_size
        self._max_steps = min(MAX_STEPS, max(1, MAX_BYTES // batch_bytes))
        self._trainable = self._list_trainable()
        algorithms = tuple(algorithm for algorithm, _ in self._limits)
        shapes = (loader.inputs.shape[1:], loader.targets.shape[1:])
        optimizer = type(self.trainer.optimizers[0])
        sizes = (loader.batch_size, len(loader.targets) * loader.repeats, self.trainer.accumulate_grad_batches)
        member.structure = (optimizer, algorithms, shapes, sizes, describe_structure(fast_step.task))

    def run(self) -> bool | None:
        """Run these steps; return True if something is due after the last one, None if the run must do them alone.

        Raises:
            UserError: The run must do them alone, although the sweep requires that they are computed together.
        """
        step = self.fast_step
        if self.member.reason_alone is not None or self.trainer.global_step == 0:  # the first step runs all hooks
            return None
        if self._list_trainable() != self._trainable or len(self.trainer.optimizers[0].param_groups) != 1:
            self._leave_stack("weights are frozen or unfrozen during the training")
            return None
        if has_module_hooks(step.task):
            self._leave_stack("the network has hooks")
            return None
        loader: TensorLoader = self._loader
        if step.fetcher.fetched == 0:
            loader.start_epoch()
        parts = tuple(self._list_parts(min(step.steps_until_due(), self._max_steps)))
        if monotonic() >= step.loop.safe_points.due_at:  # a state is to be saved after this step
            parts = parts[: parts[0].size - parts[0].index]
        n_steps = sum(part.is_last for part in parts)
        logged = self._list_logged(n_steps)
        state = self._schedules.state()
        rates = self._schedules.advance(n_steps)
        work = SegmentWork(step.task, self.trainer.optimizers[0], loader, parts, rates, self._limits, logged)
        key = (parts, logged, tuple(count_examples(loader, len(parts))))
        request = Request(key, self.member.structure, self.trainer.global_step, work)
        try:
            result: SegmentResult = self.member.compute(request)
        except FusionError as error:
            self._schedules.restore(state, n_steps)
            self._train_alone(str(error))
            return None
        if not self._is_verified:
            self._is_verified = self.member.evaluates_together = True
        self._log(result, work)
        return self._count(result, work)

    def _train_alone(self, reason: str) -> None:
        """Let the run do all further steps alone.

        Raises:
            UserError: The sweep requires that they are computed together.
        """
        if self.member.is_required:
            raise UserError(f"sweep.fuse: {reason}; expected auto or false")
        log.info(f"steps  not computed together with those of other jobs: {reason}")
        self.member.reason_alone = reason
        self.member.evaluates_together = False

    def _leave_stack(self, reason: str) -> None:
        """Let the run do all further steps alone, with copies of its tensors, which are parts of stacked ones."""
        self._train_alone(reason)
        copy_weights(self.fast_step.task.net)
        copy_state(self.trainer.optimizers[0])

    def _log(self, result: SegmentResult, work: SegmentWork) -> None:
        """Log the values of the steps, in the order in which hooks log them."""
        step_log = self.fast_step.log
        logged = sorted(work.logged)
        hooks = self.fast_step.hooks.callbacks
        losses = result.losses[work.ends].tolist()
        clipping = iter(result.clipping_norms.T.tolist())
        rates = torch.tensor(work.rates).tolist()  # rounded as logged values
        values = {"learning rate": [rates[index] for index in logged], "gradient norm": result.norms.tolist()}
        columns: dict[str, list[float]] = {}
        for callback in hooks["on_train_batch_start"]:
            columns |= {name: values[kind] for name, kind in self._step_metrics(callback).items()}
        # also if the last step is not logged; a copy, as checkpoints would contain the losses of all steps
        last: dict[str, Any] = {"train/loss": result.losses[-1].clone()}
        n_steps = len(work.rates)
        if not work.parts[-1].is_last and n_steps in self._list_logged(n_steps + 1):  # rates are logged at its start
            last |= dict.fromkeys(columns, self._schedules.group["lr"])
        columns["train/loss"] = [losses[index] for index in logged]
        for callback in hooks["on_before_optimizer_step"]:
            if isinstance(callback, GradientClipper):
                norms = next(clipping)
                if norms:
                    last["train/grad_norm"] = norms[-1]
                columns["train/grad_norm"] = [norms[index] for index in logged]
            else:
                columns |= {name: values[kind] for name, kind in self._step_metrics(callback).items()}
        if logged:
            epoch = self.trainer.current_epoch
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            first = self.fast_step.loop._batches_that_stepped
            step_log.add_rows((first + index, {**row, "epoch": epoch}) for index, row in zip(logged, rows, strict=True))
            last = rows[-1] | last
        for name, value in last.items():
            step_log.log(name, value, prog_bar=name == "train/loss")

    def _step_metrics(self, callback: Any) -> dict[str, StepMetric]:
        return callback.step_metrics(self.trainer) if isinstance(callback, Callback) and self.trainer.loggers else {}

    def _count(self, result: SegmentResult, work: SegmentWork) -> bool:
        """Count the steps, and run what follows the last one; return True if something is due."""
        step = self.fast_step
        loop = step.loop
        count = len(work.parts)
        n_steps = len(work.rates)
        work.loader.position += count
        step.fetcher.fetched += count
        step.fetcher.done = step.fetcher.fetched >= (step.fetcher.length or 0)
        progress = loop.batch_progress
        progress.increment_by(count, is_last_batch=step.fetcher.done)
        optimizer_progress = loop.automatic_optimization.optim_progress.optimizer
        optimizer_progress.zero_grad.increment_by(sum(part.index == 0 for part in work.parts))
        optimizer_progress.step.increment_by(n_steps)
        self.trainer._logger_connector._first_loop_iter = False
        totals = result.totals
        if loop.safe_points.on_losses and not bool(totals.isfinite().all()):
            loop.safe_points.on_losses(totals[:-1].unbind())
        if progress.is_last_batch:
            loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        step.state["log"] = step.log.log
        try:
            step.call("on_train_batch_end", {"loss": totals[-1]}, None, progress.current.ready - 1)
        finally:
            del step.state["log"]
        step.stepped = work.parts[-1].is_last
        loop._batches_that_stepped += n_steps - step.stepped  # the loop counts the last one
        return bool(step.is_due(progress.current.ready - 1))

    def _list_parts(self, count: int) -> Iterator[StepPart]:
        """Yield the next batches as parts of their steps; the last step of an epoch may be smaller."""
        first = self.fast_step.loop.batch_progress.current.ready
        remaining = (self.fast_step.fetcher.length or 0) - self.fast_step.fetcher.fetched
        accumulated = self.trainer.accumulate_grad_batches
        for batch in range(first, first + count):
            index = batch % accumulated
            yield StepPart(index, min(accumulated, first + remaining - batch + index))

    def _list_trainable(self) -> list[bool]:
        return [weight.requires_grad for weight in self.fast_step.task.net.parameters()]

    def _list_limits(self) -> Iterator[tuple[str, float]]:
        clippers: Any = GradientClippers(self.trainer)
        for callback in clippers.callbacks:
            yield callback.algorithm, callback.value
        if clippers.clip_value:
            yield str(clippers.algorithm or "norm"), float(clippers.clip_value)

    def _list_logged(self, n_steps: int) -> frozenset[int]:
        """Return the indices of the steps that are written to the loggers."""
        interval = self.trainer.log_every_n_steps
        if not (self.trainer.loggers and interval):
            return frozenset()
        steps = self.fast_step.loop._batches_that_stepped
        return frozenset(range(interval - 1 - steps % interval, n_steps, interval))

    @property
    def _loader(self) -> Any:
        return self.fast_step.fetcher.combined_loader.flattened[0]


def prepare_fused_steps(fast_step: FastStep) -> FusedSteps | None:
    """Return the steps of a run that belongs to a group, the same object in each epoch; else None."""
    loop = fast_step.loop
    member = current_member()
    if member and member.group_size > 1 and loop.fused_steps is None:
        loop.fused_steps = FusedSteps(fast_step, member)
    elif loop.fused_steps:
        loop.fused_steps.fast_step = fast_step
    return loop.fused_steps
