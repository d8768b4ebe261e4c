"""Recorded: steps of a small network as a list of operations, made without autograd and the optimizer's own code.

A step of a network of a few weights takes some thirty operations of a microsecond's work each. What PyTorch does around
each of them to differentiate, and before an update to find out what is to be updated, takes longer than they do; and
it does the same at every step. So the operations are noted once, and then made in a row.
"""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn.modules import module as of_torch
from torch.optim import Optimizer

from trainer.training.loop.eligibility import has_hooks, has_step_hooks, unfit_kind, unfit_rates, unfit_steps
from trainer.training.loop.gradient_clipping import Bounds
from trainer.training.loop.verified_trace import Routine

LeanStep = Any  # of trainer.training.loop.training_loop, which imports this

MOST_SHAPES = 8  # of batches
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# keys of a parameter group that do not change an update
VARYING = ("params", "lr", "initial_lr", "foreach", "fused", "capturable")
HOOKS_OF_ALL = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")

log = logging.getLogger(__name__)


class RecordedSteps:
    """Makes the passes and the updates of steps in a row; of each run there is one.

    Only networks whose modules run code of PyTorch's or ours are recorded. One that counts its calls, say, could do
    something else at the next, and no batch would have shown it.

    Args:
        trainer: Whose steps these are.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.is_begun = False  # since callbacks had an opportunity to change network and optimizer
        self._state: Any = None  # of network and optimizer, when the routines were made

    def begin(self, lean: LeanStep) -> None:
        """Before steps in a row: begin anew if network or optimizer is not what it was."""
        if self.is_begun:
            return
        self.is_begun = True
        task, [optimizer], bounds = lean.task, self.trainer.optimizers, Bounds(self.trainer)
        if (state := _state(task, optimizer, bounds)) == self._state:
            return
        self._state, self._passes = state, dict[Any, Routine]()
        self.optimizer, self.bounds = optimizer, bounds
        self._learning = [weight for weight in task.net.parameters() if weight.requires_grad]
        scale = task.objective.target_scale
        self._held = [*task.net.parameters(), *task.net.buffers(), *(scale.tensors if scale else ())]
        self._groups = optimizer.param_groups
        self._states = [one for kept in optimizer.state.values() for one in kept.values() if isinstance(one, Tensor)]
        self._step = bare_step(optimizer)
        self._bound = Routine("bounds", self._usual_bound)
        self._update = Routine("update", self._usual_update, free="lr")
        self._reason = _unfit(self.trainer)
        if self._reason:
            log.debug("steps are not recorded: %s", self._reason)
        if not all(_is_known(one.bound) for one in bounds.callbacks):
            self._bound.refuse("they are the user's")
        if reason := _unfit_update(self.trainer):
            self._update.refuse(reason)

    def loss(self, lean: LeanStep, batch: Any) -> Tensor:
        """Of a batch, within `torch.no_grad`; `leave` lets others see what comes with it."""
        self._norms: list[Tensor] = []
        inputs, targets = batch
        if not (isinstance(inputs, Tensor) and isinstance(targets, Tensor)):
            self._reason = "batches are not pairs of tensors"
        if self._reason:
            return by_autograd(lean, batch)
        key = (inputs.shape, inputs.stride(), inputs.dtype, targets.shape, targets.stride(), targets.dtype)
        routine = self._passes.get(key)
        if routine is None:
            routine = self._passes[key] = Routine(f"pass with {[*inputs.shape]}", self._usual_pass)
            if len(self._passes) > MOST_SHAPES:
                routine.refuse("batches have many shapes")
        loss, self._logged, *self._gradients = routine([*self._held, inputs, targets], lean, batch)
        return loss

    def leave(self, lean: LeanStep) -> None:
        """Log the last loss, and leave the gradients in the weights, where `backward` leaves them."""
        if not self._reason:
            lean.task.log("train/loss", self._logged, prog_bar=True)
            self._leave_gradients()
        if self._norms:
            self.bounds.log(self.optimizer, self._norms)

    def bound(self) -> None:
        """Bound the last gradients, within `torch.no_grad`, as callbacks do where they are called."""
        if not self.bounds:
            return
        if self._reason:
            self._norms = self.bounds.keep(self.optimizer)
            return
        if not self._bound.is_proven:
            self._leave_gradients()
        self._norms = self._bound(self._given_gradients())

    def take_gradients(self) -> None:
        """Those that callbacks have left in the weights."""
        self._gradients = [weight.grad for weight in self._learning]

    def update(self) -> None:
        """Of the weights by the last gradients, within `torch.no_grad`."""
        if self._reason:
            self._step()
            return
        if not self._update.is_proven:
            self._leave_gradients()
        given = [*self._learning, *self._given_gradients(), *self._states]
        self._update(given, rates=[group["lr"] for group in self._groups])

    def _given_gradients(self) -> list[Tensor]:
        return [gradient for gradient in self._gradients if gradient is not None]

    def _leave_gradients(self) -> None:
        for weight, gradient in zip(self._learning, self._gradients, strict=True):
            weight.grad = gradient

    def _usual_pass(self, lean: LeanStep, batch: Any) -> list[Tensor | None]:
        with torch.enable_grad():
            loss: Tensor = lean.task.training_step(batch, 0)  # `Supervised` has no use for the batch's number
        for weight in self._learning:
            weight.grad = None  # makes room for the next one
        gradients = torch.autograd.grad(loss, self._learning, allow_unused=True)
        taken = {tensor.data_ptr() for tensor in (*self._held, *batch)}
        left = [laid_out(*pair, taken) for pair in zip(gradients, self._learning, strict=True)]
        return [loss.detach(), lean.log.latest["train/loss"], *left]

    def _usual_bound(self) -> list[Tensor | None]:
        norms: list[Tensor | None] = self.bounds.keep(self.optimizer)
        self.take_gradients()
        return norms

    def _usual_update(self) -> list[Tensor | None]:
        self._step()
        return []


def by_autograd(lean: LeanStep, batch: Any) -> Tensor:
    """Loss of a batch, which is logged; leaves the gradients in the weights, as any training step does."""
    with torch.enable_grad(), lean.context():
        loss: Tensor = lean.task.training_step(batch, 0)
    for group in lean.trainer.optimizers[0].param_groups:  # `zero_grad`, without a note for profilers
        for weight in group["params"]:
            weight.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def bare_step(optimizer: Optimizer) -> Callable[[], Any]:
    """The step of an optimizer, without what PyTorch wraps around it: notes for profilers, and hooks if it has some."""
    wrapped: Any = type(optimizer).step
    if has_step_hooks(optimizer) or not getattr(wrapped, "hooked", False):
        return optimizer.step
    return partial(wrapped.__wrapped__, optimizer)


def laid_out(gradient: Tensor | None, weight: Tensor, taken: set[int]) -> Tensor | None:
    """A gradient as `backward` leaves it: with the strides of its weight, and in a place of its own.

    Args:
        gradient: As `torch.autograd.grad` gives it.
        weight: That it is of.
        taken: Places of other tensors; that of this gradient is added.
    """
    if gradient is None:
        return None
    if gradient.stride() != weight.stride() or gradient.data_ptr() in taken:
        gradient = torch.empty_like(weight).copy_(gradient)
    taken.add(gradient.data_ptr())
    return gradient


def _state(task: Any, optimizer: Optimizer, bounds: Bounds) -> Any:
    """What steps depend on, beside batches, rates, and the values of tensors."""
    modules, objective = list(task.net.modules()), task.objective
    return (
        [(id(weight), weight.requires_grad, has_hooks(weight)) for weight in task.net.parameters()],
        [id(buffer) for buffer in task.net.buffers()],
        modules,
        [_settings(part) for part in (*modules, objective, objective.penalty)],
        [any(getattr(module, name) for name in HOOKS) for module in modules],
        any(getattr(of_torch, name) for name in HOOKS_OF_ALL),
        torch.is_anomaly_enabled(),
        [{key: group[key] for key in group if key not in VARYING} for group in optimizer.param_groups],
        has_step_hooks(optimizer),
        [[id(weight) for weight in group["params"]] for group in optimizer.param_groups],
        [id(one) for kept in optimizer.state.values() for one in kept.values()],
        [bounds.limit, bounds.algorithm, *map(_settings, bounds.callbacks)],
    )


def _settings(part: Any) -> list[Any]:
    """What an object was told: numbers and words as they are, anything else by its identity."""
    plain = (int, float, str, tuple)
    return [value if isinstance(value, plain) else id(value) for value in getattr(part, "__dict__", {}).values()]


def _unfit(trainer: Trainer) -> str | None:
    """Why passes are left to autograd; None where they can be recorded."""
    task: Any = trainer.lightning_module
    modules, own = list(task.net.modules()), {id(weight) for weight in task.net.parameters()}
    updated = {id(weight) for group in trainer.optimizers[0].param_groups for weight in group["params"]}
    codes = [*(module.forward for module in modules), type(task.objective)]
    hooks = [hook for module in modules for name in HOOKS for hook in getattr(module, name).values()]
    scale = task.objective.target_scale
    hooked = [hook for hook in hooks if not (scale and scale.is_hook(hook))]
    reasons = {
        "network or objective are the user's": not all(map(_is_known, codes)),
        "the network is compiled": any(module._compiled_call_impl for module in modules),
        "the optimizer has weights that are not the network's": not updated <= own,
        "there are hooks in the network": hooked or any(getattr(of_torch, name) for name in HOOKS_OF_ALL),
        "there are hooks on weights": any(map(has_hooks, task.net.parameters())),
        "anomalies are looked for": torch.is_anomaly_enabled(),
    }
    return unfit_kind(trainer) or next((reason for reason, applies in reasons.items() if applies), None)


def _is_known(code: Any) -> bool:
    """Whether a function or a class is PyTorch's or ours."""
    return getattr(code, "__module__", "").split(".")[0] in ("torch", "trainer")


def _unfit_update(trainer: Trainer) -> str | None:
    """Why updates are left to the optimizer; None where they can be recorded."""
    [optimizer] = trainer.optimizers
    if not all(group.get("fused") for group in optimizer.param_groups):
        return "the optimizer is not fused"
    return unfit_rates(trainer) or unfit_steps(optimizer)
