"""Fast version of Lightning's loop over the batches of an epoch.

Counters, hooks, metrics and numbers are the same as Lightning's. The work that Lightning does at every step for unused
features is omitted: context managers, profiling and closures around each call, traversal of batches that are already
on their device, hooks that are not overridden. Source: `_TrainingEpochLoop.advance` of pytorch-lightning 2.6.
"""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from collections import OrderedDict
from time import monotonic
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loops.optimization.automatic import Closure, ClosureResult
from torch import Tensor

from trainer.core.compat import DataFetcher, MaxSizeCycle, PrefetchDataFetcher
from trainer.task.gradient_accumulation import install_loss_scaling
from trainer.training.fused.steps import FusedSteps, prepare_fused_steps
from trainer.training.loop.evaluation_loop import FastEvaluationLoop
from trainer.training.loop.hook_dispatch import (
    STEP_HOOKS,
    HookDispatcher,
    accepts_batch_index,
    forward_context,
    is_batch_in_place,
    reason_lightning_required,
    transfer_batch,
)
from trainer.training.loop.safe_points import SafePointLoop
from trainer.training.loop.step_logging import StepLog, is_logging_step
from trainer.training.loop.traced_steps import TracedSteps
from trainer.training.loop.unlogged_steps import UnloggedSteps

BACKWARD_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward")


class FastTrainingLoop(SafePointLoop):
    """Epoch loop that replaces Lightning's, and uses Lightning's code in cases that it does not cover."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer)
        install_loss_scaling(trainer)
        self.step_log = StepLog(trainer)
        self.val_loop = FastEvaluationLoop(self.val_loop)
        self.traced_steps = TracedSteps(trainer)
        self.fused_steps: FusedSteps | None = None
        self.hooks: HookDispatcher | None = None
        self.accepts_batch_index = accepts_batch_index(trainer.lightning_module.training_step)

    def reset(self) -> None:
        super().reset()
        self.step_log.latest.clear()

    def run(self, data_fetcher: DataFetcher) -> None:
        is_default_fetcher = type(data_fetcher) is PrefetchDataFetcher and data_fetcher.length is not None
        if reason_lightning_required(self.trainer) or not is_default_fetcher:
            return super().run(data_fetcher)
        self.reset()
        self.on_run_start(data_fetcher)
        step = FastStep(self, data_fetcher)
        while not self.done:
            try:
                if self.restarting:  # first batch after a checkpoint inside an epoch
                    self.advance(data_fetcher)
                else:
                    step.run_until_due()
                self.on_advance_end(data_fetcher)
            except StopIteration:
                break
            finally:
                self.on_iteration_done()
        return None


class FastStep:
    """Training step: `advance` of Lightning's loop, and the parts of `on_advance_end` that most steps need."""

    def __init__(self, loop: FastTrainingLoop, data_fetcher: DataFetcher) -> None:
        self.loop = loop
        self.trainer = trainer = loop.trainer
        self.fetcher = data_fetcher
        self.task = trainer.lightning_module
        self.log = loop.step_log
        self.hooks = loop.hooks = HookDispatcher.reuse_or_create(trainer, STEP_HOOKS, loop.hooks)
        self.call = self.hooks.call
        self.state = self.hooks.state
        self.in_place = is_batch_in_place(trainer, data_fetcher.combined_loader.flattened)
        self.context = forward_context(trainer, "train_step_context")
        iterator = data_fetcher.combined_loader._iterator
        self.cycle = iterator if isinstance(iterator, MaxSizeCycle) and len(iterator.iterators) == 1 else None
        self.stepped = True  # False if more batches are accumulated before the optimizer's step
        schedules = trainer.lr_scheduler_configs
        self.steps_schedules = any(config.interval == "step" for config in schedules)
        self.checks_every_step = (
            trainer.check_val_every_n_epoch is None
            or getattr(trainer, "_val_check_time_interval", None) is not None
            or any(config.interval == "step" and config.reduce_on_plateau for config in schedules)
        )
        self.unlogged_steps = UnloggedSteps(self)
        has_backward_hooks = any(self.hooks.functions[name] for name in BACKWARD_HOOKS)
        self.fused_steps = prepare_fused_steps(self)
        self.is_traced = self.unlogged_steps.is_allowed and not has_backward_hooks

    def run_until_due(self) -> None:
        """Train up to a step after which a validation, a checkpoint or the end of the epoch may be due."""
        self.loop.traced_steps.is_started = False
        while not self._run_steps():
            self.loop._batches_that_stepped += self.stepped

    def _run_steps(self) -> bool:
        """Run one or several steps; return True if something may be due after the last one."""
        is_due = self.fused_steps.run() if self.fused_steps else None
        return self.unlogged_steps.run() or self.step() if is_due is None else is_due

    def steps_until_due(self) -> int:
        """Return the number of steps up to and including the next one after which something may be due."""
        if self.checks_every_step:
            return 1
        loop = self.loop
        interval = self.trainer.val_check_batch
        steps = (self.fetcher.length or 0) - self.fetcher.fetched
        if isinstance(interval, int):
            steps = min(steps, interval - loop.batch_progress.current.ready % interval)
        return min(steps, loop.max_steps - loop.global_step) if loop.max_steps != -1 else steps

    def step(self) -> bool:
        """Train on the next batch; return True if something may be due after it."""
        loop = self.loop
        progress = loop.batch_progress
        batch = self.next()
        index = progress.current.ready
        progress.is_last_batch = self.fetcher.done
        progress.increment_ready()
        connector = self.trainer._logger_connector
        connector._first_loop_iter = connector._first_loop_iter is None
        self.log.batch = batch
        self.state["log"] = self.log.log
        try:
            self.call("on_train_batch_start", batch, index)
            progress.increment_started()
            if self.is_traced and loop.global_step:
                output = self._run_traced_step(batch)
            elif self.task.automatic_optimization:
                output = self._optimize(batch, index)
            else:
                index_argument = {"batch_idx": index} if loop.accepts_batch_index else {}
                output = loop.manual_optimization.run(OrderedDict(batch=batch, **index_argument))
            progress.increment_processed()
            if self.steps_schedules:
                loop.update_lr_schedulers("step", update_plateau_schedulers=False)
            if progress.is_last_batch:
                loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
            self.call("on_train_batch_end", output, batch, index)
        finally:
            del self.state["log"]
        progress.increment_completed()
        return self._finish_step(index)

    def _optimize(self, batch: Any, index: int) -> dict[str, Any]:
        """Compute loss and gradients, and run the optimizer's step unless more batches are accumulated."""
        trainer = self.trainer
        progress = self.loop.automatic_optimization.optim_progress.optimizer
        optimizer = trainer.optimizers[0]
        accumulated_batches = trainer.accumulate_grad_batches
        self.state["_current_fx_name"] = "training_step"
        with self.context():
            output = self.task.training_step(batch, *([index] if self.loop.accepts_batch_index else []))
        loss: Tensor | None
        if isinstance(output, Tensor) and accumulated_batches == 1:
            loss = output
            outputs = {"loss": output.detach()}
        else:
            result_class = self.loop.automatic_optimization.output_result_cls
            result: ClosureResult = result_class.from_training_step_output(output, accumulated_batches)
            loss = result.closure_loss
            outputs = result.asdict() if result.loss is not None else {}
            if loss is None:
                Closure.warning_cache.warn("`training_step` returned `None`; ignore this warning if it is intended")
        if index % accumulated_batches == 0:
            progress.zero_grad.increment_ready()
            self.call("on_before_zero_grad", optimizer)
            progress.zero_grad.increment_started()
            optimizer.zero_grad()
            progress.zero_grad.increment_completed()
        if loss is not None:
            self.call("on_before_backward", loss)
            loss.backward()  # type: ignore[no-untyped-call]
            self.call("on_after_backward")
        if accumulated_batches == 1 or not self.loop._should_accumulate():
            progress.step.increment_ready()
            self.call("on_before_optimizer_step", optimizer)
            if trainer.gradient_clip_val:
                self.task.clip_gradients(optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
            optimizer.step()
            progress.step.increment_completed()
        return outputs

    def _run_traced_step(self, batch: Any) -> dict[str, Any]:
        """Do the same as `_optimize` with traced operations; no hook of the backward pass is overridden."""
        traced = self.loop.traced_steps
        progress = self.loop.automatic_optimization.optim_progress.optimizer
        traced.start(self)
        self.state["_current_fx_name"] = "training_step"
        with torch.no_grad():
            loss = traced.compute_loss(self, batch)
        traced.publish_results(self)
        progress.zero_grad.increment_by(1)
        self.call("on_before_optimizer_step", traced.optimizer)
        with torch.no_grad():
            traced.clippers.clip_by_trainer(traced.optimizer)
            traced.read_gradients()
            traced.update()
        progress.step.increment_by(1)
        return {"loss": loss}

    def _finish_step(self, index: int) -> bool:
        """Log the values of a step; return True if something may be due after it."""
        loop = self.loop
        trainer = self.trainer
        self.stepped = trainer.accumulate_grad_batches == 1 or not loop._should_accumulate()
        is_loggable = self.stepped or not self.task.automatic_optimization
        self.log.commit_step(is_loggable and is_logging_step(trainer))
        return self.is_due(index)

    def is_due(self, index: int) -> bool:
        """Return True if something may be due after the batch with an index."""
        loop, trainer = self.loop, self.trainer
        return (
            self.checks_every_step
            or loop.batch_progress.is_last_batch
            or trainer.should_stop
            or trainer.received_sigterm
            or monotonic() >= loop.safe_points.due_at
            or (index + 1) % trainer.val_check_batch == 0
            or (loop.max_steps != -1 and loop.global_step >= loop.max_steps)
        )

    def next(self) -> Any:
        """Return the next batch on the task's device; a single loader is called without Lightning's fetcher."""
        if self.cycle is None:
            batch, _, _ = next(self.fetcher)
        else:
            batch = next(self.cycle.iterators[0])
            self.cycle._idx += 1
            self.fetcher.fetched += 1
            self.fetcher.done = self.fetcher.fetched >= (self.fetcher.length or 0)
        return batch if self.in_place else transfer_batch(batch, self.trainer)
