"""LeanLoop: Lightning's loop over the batches of an epoch, without the work that only long steps can hide.

Counters, hooks, metrics and numbers are Lightning's own. What is left out is what Lightning does at every step for
cases that are not there: contexts, profiles and closures around each call, walks through a batch that is in place
already, hooks that nobody has. Source: `_TrainingEpochLoop.advance` of pytorch-lightning 2.6.
"""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

from collections import OrderedDict
from time import monotonic
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from pytorch_lightning.loops.optimization.automatic import Closure, ClosureResult
from pytorch_lightning.utilities.combined_loader import _MaxSizeCycle
from torch import Tensor

from trainer.task.gradient_accumulation import divide_by_batches
from trainer.training.loop.evaluation_loop import LeanEvaluation
from trainer.training.loop.hook_dispatch import (
    STEP_HOOKS,
    Hooks,
    forward_context,
    needs_lightning,
    placed,
    stays_in_place,
    takes_index,
)
from trainer.training.loop.safe_points import BoundaryLoop
from trainer.training.loop.step_logging import StepLog, is_logged
from trainer.training.loop.traced_steps import RecordedSteps
from trainer.training.loop.unlogged_steps import Stretch

IN_BETWEEN = ("on_before_zero_grad", "on_before_backward", "on_after_backward")


class LeanLoop(BoundaryLoop):
    """Takes over what `trainer.fit_loop.epoch_loop` holds; where a step needs more, it goes Lightning's own way.

    Args:
        trainer: Whose loop it is.
    """

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer)
        divide_by_batches(trainer)
        self.step_log = StepLog(trainer)
        self.val_loop = LeanEvaluation(self.val_loop)
        self.recorded = RecordedSteps(trainer)
        self.hooks: Hooks | None = None
        self.takes_index = takes_index(trainer.lightning_module.training_step)

    def reset(self) -> None:
        super().reset()
        self.step_log.latest.clear()

    def run(self, data_fetcher: _DataFetcher) -> None:
        is_usual_loader = type(data_fetcher) is _PrefetchDataFetcher and data_fetcher.length is not None
        if needs_lightning(self.trainer) or not is_usual_loader:
            return super().run(data_fetcher)
        self.reset()
        self.on_run_start(data_fetcher)
        step = LeanStep(self, data_fetcher)
        while not self.done:
            try:
                if self.restarting:  # the first batch after a checkpoint inside an epoch
                    self.advance(data_fetcher)
                else:
                    step.until_something_is_due()
                self.on_advance_end(data_fetcher)
            except StopIteration:
                break
            finally:
                self.on_iteration_done()
        return None


class LeanStep:
    """One batch: what `advance` does, and of `on_advance_end` what most steps need.

    Args:
        loop: Holds counters and schedules.
        data_fetcher: Gives batches.
    """

    def __init__(self, loop: LeanLoop, data_fetcher: _DataFetcher) -> None:
        trainer = loop.trainer
        self.loop, self.trainer, self.fetcher = loop, trainer, data_fetcher
        self.task, self.log = trainer.lightning_module, loop.step_log
        self.hooks = loop.hooks = Hooks.of_now(trainer, STEP_HOOKS, loop.hooks)
        self.call, self.state = self.hooks.call, self.hooks.state
        self.in_place = stays_in_place(trainer, data_fetcher.combined_loader.flattened)
        self.context = forward_context(trainer, "train_step_context")
        cycle = data_fetcher.combined_loader._iterator
        self.cycle = cycle if isinstance(cycle, _MaxSizeCycle) and len(cycle.iterators) == 1 else None
        self.stepped = True  # whether the last batch was the last of those that one step is made of
        schedules = trainer.lr_scheduler_configs
        self.steps_schedules = any(config.interval == "step" for config in schedules)
        self.looks_each_step = (
            trainer.check_val_every_n_epoch is None
            or getattr(trainer, "_val_check_time_interval", None) is not None
            or any(config.interval == "step" and config.reduce_on_plateau for config in schedules)
        )
        self.stretch = Stretch(self)
        self.is_recorded = self.stretch.is_allowed and not any(self.hooks.hooks[name] for name in IN_BETWEEN)

    def until_something_is_due(self) -> None:
        """Train on batches up to one after which a validation may be due, or the end."""
        self.loop.recorded.is_begun = False
        while not self.steps():
            self.loop._batches_that_stepped += self.stepped

    def room(self) -> int:
        """How many steps can be made up to one after which something may be due, that one included."""
        if self.looks_each_step:
            return 1
        loop, between = self.loop, self.trainer.val_check_batch
        room = (self.fetcher.length or 0) - self.fetcher.fetched
        if isinstance(between, int):
            room = min(room, between - loop.batch_progress.current.ready % between)
        return min(room, loop.max_steps - loop.global_step) if loop.max_steps != -1 else room

    def steps(self) -> bool:
        """A step, and before it those that nobody looks at; returns whether something may be due after the last."""
        return self.stretch.run() or self.step()

    def step(self, batch: Any = None) -> bool:
        """Train on the next batch; returns whether something may be due after it.

        Args:
            batch: That was taken by `next` already; None for none.
        """
        loop, progress = self.loop, self.loop.batch_progress
        if batch is None:
            batch = self.next()
        index = progress.current.ready
        progress.is_last_batch = self.fetcher.done
        progress.increment_ready()
        connector = self.trainer._logger_connector
        connector._first_loop_iter = connector._first_loop_iter is None
        self.log.batch, self.state["log"] = batch, self.log.note
        try:
            self.call("on_train_batch_start", batch, index)
            progress.increment_started()
            if self.is_recorded and self.loop.global_step:
                output = self._make_recorded(batch)
            elif self.task.automatic_optimization:
                output = self._optimize(batch, index)
            else:
                output = loop.manual_optimization.run(OrderedDict(batch=batch, batch_idx=index))
            progress.increment_processed()
            if self.steps_schedules:
                loop.update_lr_schedulers("step", update_plateau_schedulers=False)
            if progress.is_last_batch:
                loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
            self.call("on_train_batch_end", output, batch, index)
        finally:
            del self.state["log"]
        progress.increment_completed()
        return self.conclude(index)

    def _optimize(self, batch: Any, index: int) -> dict[str, Any]:
        """Loss, gradients and, where enough of them are gathered, the optimizer's step."""
        trainer, progress = self.trainer, self.loop.automatic_optimization.optim_progress.optimizer
        optimizer, batches_a_step = trainer.optimizers[0], trainer.accumulate_grad_batches
        self.state["_current_fx_name"] = "training_step"
        with self.context():
            output = self.task.training_step(batch, *([index] if self.loop.takes_index else []))
        loss: Tensor | None
        if isinstance(output, Tensor) and batches_a_step == 1:
            loss, outputs = output, {"loss": output.detach()}
        else:
            results = self.loop.automatic_optimization.output_result_cls
            result: ClosureResult = results.from_training_step_output(output, batches_a_step)
            loss, outputs = result.closure_loss, result.asdict() if result.loss is not None else {}
            if loss is None:
                Closure.warning_cache.warn("`training_step` returned `None`; where that is meant, ignore this warning")
        if index % batches_a_step == 0:
            progress.zero_grad.increment_ready()
            self.call("on_before_zero_grad", optimizer)
            progress.zero_grad.increment_started()
            optimizer.zero_grad()
            progress.zero_grad.increment_completed()
        if loss is not None:
            self.call("on_before_backward", loss)
            loss.backward()  # type: ignore[no-untyped-call]
            self.call("on_after_backward")
        if batches_a_step == 1 or not self.loop._should_accumulate():
            progress.step.increment_ready()
            self.call("on_before_optimizer_step", optimizer)
            if trainer.gradient_clip_val:
                self.task.clip_gradients(optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
            optimizer.step()
            progress.step.increment_completed()
        return outputs

    def _make_recorded(self, batch: Any) -> dict[str, Any]:
        """What `_optimize` does, by operations that were noted, where nobody looks on in between."""
        recorded, progress = self.loop.recorded, self.loop.automatic_optimization.optim_progress.optimizer
        recorded.begin(self)
        self.state["_current_fx_name"] = "training_step"
        with torch.no_grad():
            loss = recorded.loss(self, batch)
        recorded.leave(self)
        progress.zero_grad.increment_by(1)
        self.call("on_before_optimizer_step", recorded.optimizer)
        with torch.no_grad():
            recorded.bounds.clip(recorded.optimizer)
            recorded.take_gradients()
            recorded.update()
        progress.step.increment_by(1)
        return {"loss": loss}

    def conclude(self, index: int) -> bool:
        """Keep what a step has logged; returns whether something may be due after it."""
        loop, trainer = self.loop, self.trainer
        self.stepped = trainer.accumulate_grad_batches == 1 or not loop._should_accumulate()
        counts = self.stepped or not self.task.automatic_optimization
        self.log.keep_step(counts and is_logged(trainer))
        return (
            self.looks_each_step
            or loop.batch_progress.is_last_batch
            or trainer.should_stop
            or trainer.received_sigterm
            or monotonic() >= loop.boundary.due_at
            or (index + 1) % trainer.val_check_batch == 0
            or (loop.max_steps != -1 and loop.global_step >= loop.max_steps)
        )

    def next(self) -> Any:
        """The next batch, where and as the task needs it; straight from the loader where there is one alone."""
        if self.cycle is None:
            batch, _, _ = next(self.fetcher)
        else:
            batch = next(self.cycle.iterators[0])
            self.count(1)
        return batch if self.in_place else placed(batch, self.trainer)

    def count(self, batches: int) -> None:
        """Note that so many batches were taken straight from the loader."""
        assert self.cycle
        self.cycle._idx += batches
        self.fetcher.fetched += batches
        self.fetcher.done = self.fetcher.fetched >= (self.fetcher.length or 0)
