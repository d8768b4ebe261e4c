"""Training steps of small networks that replay traced operations instead of calling autograd and optimizer.

A step of a network with a few weights consists of some thirty operations of about a microsecond each. The overhead of
autograd and of the optimizer is larger than that, and identical at every step.
"""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn.modules import module as torch_module
from torch.optim import Optimizer

from trainer.training.loop.eligibility import (
    GLOBAL_HOOKS,
    MODULE_HOOKS,
    has_gradient_hooks,
    has_module_hooks,
    has_step_hooks,
    is_fused,
    reason_device_not_traceable,
    reason_optimizer_not_traceable,
    reason_rates_not_traceable,
)
from trainer.training.loop.gradient_clipping import GradientClippers
from trainer.training.loop.verified_trace import VerifiedTrace

FastStep = Any  # trainer.training.loop.training_loop.FastStep; that module imports this one

MAX_BATCH_SHAPES = 8
# keys of a parameter group that do not change an update, or are traced as inputs
IGNORED_GROUP_KEYS = ("params", "lr", "initial_lr", "foreach", "fused", "capturable")

log = logging.getLogger(__name__)


class TracedSteps:
    """Forward and backward passes, gradient clipping and updates of a run, replayed where possible.

    Passes are traced only if all modules of the network are classes of PyTorch or of this package. Other code may
    behave differently in a later step: it may count its calls, for example.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.is_started = False  # False if callbacks may have changed network or optimizer
        self._state: Any = None  # state of network and optimizer that the traces belong to

    def start(self, fast_step: FastStep) -> None:
        """Prepare for steps; drop all traces if network or optimizer have changed."""
        if self.is_started:
            return
        self.is_started = True
        task = fast_step.task
        [optimizer] = self.trainer.optimizers
        clippers = GradientClippers(self.trainer)
        state = _capture_state(task, optimizer, clippers)
        if state == self._state:
            return
        self._state = state
        self._passes: dict[Any, VerifiedTrace] = {}
        self.optimizer = optimizer
        self.clippers = clippers
        self._trainable = [weight for weight in task.net.parameters() if weight.requires_grad]
        scale = task.objective.target_scale
        constants = [*(scale.tensors if scale else ()), *task.objective.loss_tensors]
        self._model_tensors = [*task.net.parameters(), *task.net.buffers(), *constants]
        self._optimizer_tensors = [
            value for values in optimizer.state.values() for value in values.values() if isinstance(value, Tensor)
        ]
        self._optimizer_step = unwrap_step(optimizer)
        self._clipping = VerifiedTrace("clipping", self._run_clipping)
        self._update = VerifiedTrace("update", self._run_update, varying="lr")
        self._reason = reason_pass_not_traceable(self.trainer)
        if self._reason:
            log.debug("steps are not traced: %s", self._reason)
        if not all(_is_library_code(callback.clip_gradients) for callback in clippers.callbacks):
            self._clipping.reject("user-defined code")
        if reason := _reason_update_not_traceable(self.trainer):
            self._update.reject(reason)

    def compute_loss(self, fast_step: FastStep, batch: Any) -> Tensor:
        """Return the loss of a batch and compute its gradients, within `torch.no_grad`; see `publish_results`."""
        self._norms: list[Tensor] = []
        inputs, targets = batch
        if not (isinstance(inputs, Tensor) and isinstance(targets, Tensor)):
            self._reason = "batches are not pairs of tensors"
        if self._reason:
            return run_autograd(fast_step, batch)
        key = (inputs.shape, inputs.stride(), inputs.dtype, targets.shape, targets.stride(), targets.dtype)
        trace = self._passes.get(key)
        if trace is None:
            trace = self._passes[key] = VerifiedTrace(f"pass with inputs {[*inputs.shape]}", self._run_pass)
            if len(self._passes) > MAX_BATCH_SHAPES:
                trace.reject("batches have many shapes")
        loss, self._logged_loss, *self._gradients = trace([*self._model_tensors, inputs, targets], fast_step, batch)
        return loss

    def publish_results(self, fast_step: FastStep) -> None:
        """Log the last loss and norms, and assign the gradients to the weights, as `backward` does."""
        if not self._reason:
            fast_step.task.log("train/loss", self._logged_loss, prog_bar=True)
            self._assign_gradients()
        if self._norms:
            self.clippers.log(self.optimizer, self._norms)

    def clip_gradients(self) -> None:
        """Clip the last gradients, within `torch.no_grad`."""
        if not self.clippers:
            return
        if self._reason:
            self._norms = self.clippers.clip_all(self.optimizer)
            return
        if not self._clipping.is_verified:
            self._assign_gradients()
        self._norms = self._clipping(self._present_gradients())

    def read_gradients(self) -> None:
        """Read the gradients of the weights, which a callback may have replaced."""
        self._gradients = [weight.grad for weight in self._trainable]

    def update(self) -> None:
        """Update the weights with the last gradients, within `torch.no_grad`."""
        if self._reason:
            self._optimizer_step()
            return
        if not self._update.is_verified:
            self._assign_gradients()
        inputs = [*self._trainable, *self._present_gradients(), *self._optimizer_tensors]
        self._update(inputs, values=[group["lr"] for group in self.optimizer.param_groups])

    def _present_gradients(self) -> list[Tensor]:
        return [gradient for gradient in self._gradients if gradient is not None]

    def _assign_gradients(self) -> None:
        for weight, gradient in zip(self._trainable, self._gradients, strict=True):
            weight.grad = gradient

    def _run_pass(self, fast_step: FastStep, batch: Any) -> list[Tensor | None]:
        with torch.enable_grad():
            loss: Tensor = fast_step.task.training_step(batch, 0)  # `Supervised` ignores the batch index
        for weight in self._trainable:
            weight.grad = None  # frees memory for the new gradients
        gradients = torch.autograd.grad(loss, self._trainable, allow_unused=True)
        pointers = {tensor.data_ptr() for tensor in (*self._model_tensors, *batch)}
        matched = [match_layout(*pair, pointers) for pair in zip(gradients, self._trainable, strict=True)]
        return [loss.detach(), fast_step.log.latest["train/loss"], *matched]

    def _run_clipping(self) -> list[Tensor | None]:
        norms: list[Tensor | None] = self.clippers.clip_all(self.optimizer)
        self.read_gradients()
        return norms

    def _run_update(self) -> list[Tensor | None]:
        self._optimizer_step()
        return []


def run_autograd(fast_step: FastStep, batch: Any) -> Tensor:
    """Return and log the loss of a batch, and compute the gradients of the weights as any training step does."""
    with torch.enable_grad(), fast_step.context():
        loss: Tensor = fast_step.task.training_step(batch, 0)
    for group in fast_step.trainer.optimizers[0].param_groups:  # `zero_grad` without its profiler annotation
        for weight in group["params"]:
            weight.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def unwrap_step(optimizer: Optimizer) -> Callable[[], Any]:
    """Return the step of an optimizer without PyTorch's wrapper for profilers and hooks, if it has no hooks."""
    wrapper: Any = type(optimizer).step
    if has_step_hooks(optimizer) or not getattr(wrapper, "hooked", False):
        return optimizer.step
    return partial(wrapper.__wrapped__, optimizer)


def match_layout(gradient: Tensor | None, weight: Tensor, pointers: set[int]) -> Tensor | None:
    """Return a gradient in the layout that `backward` uses: strides of its weight, memory of its own.

    The address of its memory is added to `pointers`, the addresses of other tensors.
    """
    if gradient is None:
        return None
    if gradient.stride() != weight.stride() or gradient.data_ptr() in pointers:
        gradient = torch.empty_like(weight).copy_(gradient)
    pointers.add(gradient.data_ptr())
    return gradient


def _capture_state(task: Any, optimizer: Optimizer, clippers: GradientClippers) -> Any:
    """Return all settings that steps depend on, except batches, learning rates and values of tensors."""
    modules = list(task.net.modules())
    objective = task.objective
    return (
        [(id(weight), weight.requires_grad, has_gradient_hooks(weight)) for weight in task.net.parameters()],
        [id(buffer) for buffer in task.net.buffers()],
        modules,
        [_attribute_values(part) for part in (*modules, objective, objective.penalty)],
        [any(getattr(module, name) for name in MODULE_HOOKS) for module in modules],
        any(getattr(torch_module, name) for name in GLOBAL_HOOKS),
        torch.is_anomaly_enabled(),
        [{key: group[key] for key in group if key not in IGNORED_GROUP_KEYS} for group in optimizer.param_groups],
        has_step_hooks(optimizer),
        [[id(weight) for weight in group["params"]] for group in optimizer.param_groups],
        [id(value) for values in optimizer.state.values() for value in values.values()],
        [clippers.clip_value, clippers.algorithm, *map(_attribute_values, clippers.callbacks)],
    )


def _attribute_values(part: Any) -> list[Any]:
    """Return the attributes of an object: numbers and strings as they are, others by identity."""
    values = getattr(part, "__dict__", {}).values()
    return [value if isinstance(value, int | float | str | tuple) else id(value) for value in values]


def reason_pass_not_traceable(trainer: Trainer) -> str | None:
    """Return the reason why the operations of a forward and backward pass cannot be traced, or None if they can."""
    task: Any = trainer.lightning_module
    modules = list(task.net.modules())
    updated = {id(weight) for group in trainer.optimizers[0].param_groups for weight in group["params"]}
    code = [*(module.forward for module in modules), type(task.objective)]
    reasons = {
        "network or objective are user-defined": not all(map(_is_library_code, code)),
        "the network is compiled": any(module._compiled_call_impl for module in modules),
        "the optimizer has weights of other modules": not updated <= {*map(id, task.net.parameters())},
        "the network has hooks": has_module_hooks(task),
        "weights have hooks": any(map(has_gradient_hooks, task.net.parameters())),
        "anomaly detection is on": torch.is_anomaly_enabled(),
    }
    applicable = [reason for reason, applies in reasons.items() if applies]
    return reason_device_not_traceable(trainer) or (applicable[0] if applicable else None)


def _is_library_code(code: Any) -> bool:
    """Return True if a function or class belongs to PyTorch or this package."""
    return getattr(code, "__module__", "").split(".")[0] in ("torch", "trainer")


def _reason_update_not_traceable(trainer: Trainer) -> str | None:
    [optimizer] = trainer.optimizers
    if not is_fused(optimizer):
        return "the optimizer is not fused"
    return reason_rates_not_traceable(trainer) or reason_optimizer_not_traceable(optimizer)
