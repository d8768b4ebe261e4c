"""CompiledSteps: many short steps in one compiled call, where a run allows it and is long enough for it to pay."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

import gc
import logging
import math
import time
import warnings
from collections.abc import Iterator
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor

from trainer.errors import UserError
from trainer.loop.follow import follow
from trainer.loop.functional import (
    Steps,
    Weight,
    coefficients,
    compiled_steps,
    constants,
    learning,
    losses_of,
    state_names,
)
from trainer.loop.qualify import Unmoved, first_line, pays, shapes, unfit, unfit_after_a_step, unfit_batch
from trainer.losses import NONE

LeanStep = Any  # of trainer.loop.steps, which imports this

WATCHED = 50  # plain steps, whose time says what compiled ones would save
MOST = 100  # steps in a call: more gain nothing
MOST_BYTES = 2**24  # of examples in a call

log = logging.getLogger(__name__)
Compile = Literal["auto"] | bool


class CompiledSteps:
    """Makes steps like `LeanStep`, first one by one, then many in a call; of each run there is one.

    The first step of a run is always a plain one: it shows what the step does, and the optimizer begins its states.

    Args:
        trainer: Whose steps these are.
        wanted: Whether steps are compiled; `"auto"` where it pays and numbers may differ by rounding.
    """

    def __init__(self, trainer: Trainer, wanted: Compile) -> None:
        self.trainer, self.wanted = trainer, wanted
        # for good: plain steps to the end; which of them are compiled would depend on how long they take
        self.gone = wanted is False or (wanted == "auto" and torch.are_deterministic_algorithms_enabled())
        self.function: Steps | None = None
        self._seconds: list[float] = []
        self._shapes: list[Any] = []
        self._unasked: list[Tensor] | None = None  # a batch as compiled steps had them before the checkpoint

    def step(self, lean: LeanStep) -> bool:
        """Make a step, or as many as can be made in one call; returns whether something may be due after it."""
        if self._unasked:
            batch, self._unasked = self._unasked, None
            self._ask(lean, batch)
        if self.gone:
            return bool(lean.steps())
        return self._many(lean) if self.function else self._watch(lean)

    def state(self) -> list[Any] | bool:
        """For a checkpoint: the shapes of the batches of compiled steps; or whether steps are plain to the end."""
        return [[list(shape), str(dtype)] for shape, dtype in self._shapes] if self.function else self.gone

    def go_on(self, state: list[Any] | bool) -> None:
        """After a checkpoint: make steps as they were made before it; the numbers would differ by rounding."""
        if isinstance(state, bool):
            self.gone = self.gone or state
        elif not self.gone:
            self._shapes = [(tuple(shape), getattr(torch, dtype.removeprefix("torch."))) for shape, dtype in state]
            batch = [torch.zeros(shape, dtype=dtype) for shape, dtype in self._shapes]
            task: Any = self.trainer.lightning_module
            before = Unmoved(task.net)
            self._compile(batch)
            if self.function and (reason := before.reason()):
                self.refuse(reason)
            self._unasked = batch if self.function else None

    def _ask(self, lean: LeanStep, batch: Any) -> bool:
        """Whether this run allows steps with such batches to be compiled; refuse where it does not."""
        reason = unfit(self.trainer, lean.hooks) or unfit_batch(batch, lean)
        if reason:
            self.refuse(reason)
        return not reason

    def _watch(self, lean: LeanStep) -> bool:
        """A plain step, of which is learned whether those to come can be compiled and whether that pays."""
        first, batch = not self._seconds, lean.next()
        if first and not self._ask(lean, batch):
            return bool(lean.step(batch))
        before = Unmoved(lean.task.net) if first else None
        began = time.perf_counter()
        due = lean.step(batch)
        self._seconds.append(time.perf_counter() - began)
        if before:
            self._shapes = shapes(batch)
            reason = before.reason() or unfit_after_a_step(lean.task.net, self.trainer.optimizers[0])
            if reason:
                self.refuse(reason)
                return due
        if self.wanted is True or len(self._seconds) == WATCHED:
            self._decide(batch)
        return due

    def _decide(self, batch: Any) -> None:
        """Compile if that was asked for, or pays."""
        left = self.trainer.estimated_stepping_batches - self.trainer.global_step
        if self.wanted == "auto" and not pays(median(self._seconds), left):
            self.gone = True
        elif shapes(batch) == self._shapes:
            self._compile(batch)
        else:
            self._seconds.pop()  # the last batch of an epoch was smaller: the next one will do

    def _compile(self, batch: Any) -> None:
        """Make the function and try it on copies, two steps with the same batch."""
        task: Any = self.trainer.lightning_module
        [optimizer] = self.trainer.optimizers
        self._weights, self._groups = self._learning(), constants(optimizer)
        objective = task.objective
        penalty = None if objective.penalty == NONE else objective.penalty
        began = time.monotonic()
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it misses a GPU nobody asked for
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # PyTorch's about itself
                function = compiled_steps(losses_of(task.net, objective.loss, penalty), self._weights, self._groups)
                given = [torch.stack([part, part]) for part in batch]
                given.append(torch.ones(2, len(self._groups), 3))
                for tensor in given:
                    torch._dynamo.mark_dynamic(tensor, 0)
                function([tensor.clone() for tensor in self._tensors()], *given)
        except Exception as error:  # whatever a compiler may raise
            log.debug("steps could not be compiled", exc_info=True)
            self.refuse(first_line(error), said=True)
            return
        self.function = function
        optimizer.zero_grad()  # those of compiled steps are not kept
        gc.collect()  # of all that the compiler has left; else soon, in the midst of steps
        log.info("steps are compiled, up to %d in a call (%.1f s)", MOST, time.monotonic() - began)

    def refuse(self, reason: str, *, said: bool = False) -> None:
        """Make plain steps to the end, for a reason.

        Raises:
            UserError: Steps were to be compiled wherever they can be.
        """
        if self.wanted is True:
            raise UserError(
                f"callbacks.lean_steps.compile: steps cannot be compiled: {reason}; set it to auto or false"
            )
        self.gone, self.function = True, None
        log.log(logging.INFO if said else logging.DEBUG, "steps are not compiled: %s", reason)

    def _many(self, lean: LeanStep) -> bool:
        """As many steps as can be made before something may be due, in one call."""
        optimizer = self.trainer.optimizers[0]
        changed = self._groups != constants(optimizer) or self._weights != self._learning()
        if changed or self.trainer.accumulate_grad_batches != 1:
            return lean.step()
        most = self._room(lean)
        batches = lean.bulk.many(most) if most > 1 else None
        return self._call(lean, *batches) if batches else lean.step()

    def _call(self, lean: LeanStep, inputs: Tensor, targets: Tensor) -> bool:
        assert self.function
        steps = len(targets)
        lean.count(steps)
        rates = list(self._rates(lean, steps))
        [optimizer] = self.trainer.optimizers
        weights = [learning(group) for group in optimizer.param_groups]
        counts = [optimizer.state[weight].get("step") for group in weights for weight in group]
        done = [int(optimizer.state[group[0]].get("step", 0)) if group else 0 for group in weights]
        rows = [
            [
                coefficients(group, rate, before + place)
                for group, rate, before in zip(self._groups, now, done, strict=True)
            ]
            for place, now in enumerate(rates, start=1)
        ]
        given = (inputs.contiguous(), targets.contiguous(), torch.from_numpy(np.array(rows, np.float32)))
        with torch.no_grad():
            try:
                losses = self.function(self._tensors(), *given)
            except Exception as error:  # the network is not what it was, and what it is now cannot be compiled
                raise UserError(
                    "callbacks.lean_steps.compile: steps could not be compiled anew after something changed the"
                    f" network: {first_line(error)}; go on from the last checkpoint with false"
                ) from error
            if counts and counts[0] is not None:
                torch._foreach_add_(counts, steps)
        return follow(lean, (inputs, targets), losses, rates)

    def _room(self, lean: LeanStep) -> int:
        """How many steps can be made until something may be due."""
        size = sum(math.prod(shape) * 8 for shape, _ in self._shapes)
        return max(1, min(MOST, MOST_BYTES // max(1, size), lean.room()))

    def _rates(self, lean: LeanStep, steps: int) -> Iterator[list[float]]:
        """Each group's rate at each of so many steps; steps the schedules as Lightning would."""
        groups, progress = self.trainer.optimizers[0].param_groups, lean.loop.scheduler_progress
        configs: list[Any] = [
            config
            for config in self.trainer.lr_scheduler_configs
            if config.interval == "step" and not config.reduce_on_plateau
        ]
        index = lean.loop.batch_progress.current.ready
        for place in range(index + 1, index + steps + 1):
            yield [group["lr"] for group in groups]
            for config in configs:
                if place % config.frequency == 0:
                    config.scheduler.step()
                    progress.increment_by(1)

    def _learning(self) -> list[Weight]:
        """The weights that learn, in the optimizer's order."""
        [optimizer] = self.trainer.optimizers
        task: Any = self.trainer.lightning_module
        names = {id(weight): name for name, weight in task.net.named_parameters()}
        return [
            Weight(names[id(weight)], number, len(state_names(optimizer, group)))
            for number, group in enumerate(optimizer.param_groups)
            for weight in learning(group)
        ]

    def _tensors(self) -> list[Tensor]:
        """Each weight that learns, followed by its states."""
        [optimizer] = self.trainer.optimizers
        return [
            tensor
            for group in optimizer.param_groups
            for weight in learning(group)
            for tensor in (weight.detach(), *(optimizer.state[weight][name] for name in state_names(optimizer, group)))
        ]
