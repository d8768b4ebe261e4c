"""What a run must be like for its steps to be made in a row, recorded or compiled, and when compiling pays."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.plugins.precision import Precision
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim import optimizer as of_torch

from trainer.loop.bounds import Bounds, is_bound
from trainer.loop.functional import UPDATES, constants, learning, state_names
from trainer.loop.hooks import Hooks
from trainer.task.supervised import Supervised

SECONDS_TO_COMPILE = 20.0  # on a slow or busy machine; where the kernels are known from an earlier run, a few
SHARE_SAVED = 0.6  # of a step's time; measured: see docs/running.md
LONGEST_STEP = 1e-3  # seconds; a longer one is busy with numbers, not with calls, and gains less


def pays(seconds_a_step: float, steps_left: float) -> bool:
    """Whether what compiled steps save is more than compiling takes."""
    return seconds_a_step <= LONGEST_STEP and seconds_a_step * SHARE_SAVED * steps_left > SECONDS_TO_COMPILE


def watched(trainer: Trainer, hooks: Hooks) -> str | None:
    """Why each step of a run has to be made by itself; None where many can be made in a row.

    Args:
        trainer: About to train.
        hooks: That are called within a step.
    """
    task = trainer.lightning_module
    if not isinstance(task, Supervised) or any(
        getattr(type(task), name) is not getattr(Supervised, name) for name in ("training_step", "forward")
    ):
        return "the task has a training step of its own"
    called = [type(one).__name__ for name, some in hooks.callbacks.items() for one in some if _looks_on(one, name)]
    called += hooks.own
    reasons = {
        f"{called[0] if called else ''} is called at every step": bool(called),
        "trainer.accumulate_grad_batches is not 1": trainer.accumulate_grad_batches != 1,
        "the trainer has a fast_dev_run": bool(trainer.fast_dev_run),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def unfit(trainer: Trainer, hooks: Hooks) -> str | None:
    """Why the steps of a run cannot be compiled, as far as can be told before the first; None where they can.

    Args:
        trainer: About to train.
        hooks: That are called within a step.
    """
    if reason := watched(trainer, hooks):
        return reason
    if bounds := Bounds(trainer):
        who = type(bounds.callbacks[0]).__name__ if bounds.callbacks else "trainer.gradient_clip_val"
        return f"{who} clips gradients"
    task, [optimizer] = trainer.lightning_module, trainer.optimizers
    if reason := unfit_kind(trainer) or unfit_rates(trainer):
        return reason
    if type(task).lr_scheduler_step is not LightningModule.lr_scheduler_step:
        return "the schedule has a step of its own"
    return unfit_steps(optimizer) or unfit_optimizer(optimizer)


def unfit_kind(trainer: Trainer) -> str | None:
    """Why the steps of a run can be neither recorded nor compiled, by where and how it calculates."""
    if trainer.strategy.root_device.type != "cpu":
        return "they are made on the CPU only"
    return None if type(trainer.precision_plugin) is Precision else "trainer.precision is not 32-true"


def unfit_rates(trainer: Trainer) -> str | None:
    """Why updates can be neither recorded nor compiled, by what changes from one to the next."""
    schedules = [config.scheduler for config in trainer.lr_scheduler_configs]
    if any(getattr(one, "cycle_momentum", False) for one in schedules):
        return "the schedule changes more than the rate"
    if any(isinstance(group["lr"], Tensor) for optimizer in trainer.optimizers for group in optimizer.param_groups):
        return "the optimizer's rate is a tensor"
    return None


def unfit_steps(optimizer: Optimizer) -> str | None:
    """Why updates can be neither recorded nor compiled, by what makes them."""
    if type(optimizer) not in UPDATES:
        return "the optimizer is not SGD, Adam or AdamW"
    return "the optimizer has hooks" if has_step_hooks(optimizer) else None


def unfit_optimizer(optimizer: Optimizer) -> str | None:
    """Why the updates of an optimizer of a known kind cannot be compiled; None where they can."""
    for group in optimizer.param_groups:
        special = [name for name in ("amsgrad", "maximize", "differentiable") if group.get(name)]
        if special:
            return f"optimizer.{special[0]} is set"
        if any(weight.dtype is not torch.float32 for weight in group["params"]):
            return "not all weights are float32"
    return None


def has_step_hooks(optimizer: Optimizer) -> bool:
    """Whether something is called before or after its steps, or those of all optimizers."""
    before: list[Any] = [optimizer._optimizer_step_pre_hooks, of_torch._global_optimizer_pre_hooks]
    after: list[Any] = [optimizer._optimizer_step_post_hooks, of_torch._global_optimizer_post_hooks]
    return any(before + after)


def has_hooks(weight: Tensor) -> bool:
    """Whether something is called with its gradients."""
    return bool(weight._backward_hooks or weight._post_accumulate_grad_hooks)


def unfit_after_a_step(net: nn.Module, optimizer: Optimizer) -> str | None:
    """Why the steps of a run cannot be compiled, as its first one shows; None where they can."""
    own = {id(weight) for weight in net.parameters()}
    for group, fixed in zip(optimizer.param_groups, constants(optimizer), strict=True):
        weights = learning(group)
        if any(id(weight) not in own for weight in weights):
            return "the optimizer has weights that are not the network's"
        if any(weight.grad is None for weight in weights):
            return "some weights had no gradient"
        if any(map(has_hooks, weights)):
            return "some weights have hooks"
        states = [optimizer.state[weight] for weight in weights]
        if any(state.get(name) is None for state in states for name in state_names(optimizer, fixed)):
            return "the optimizer keeps something else"
        if len({int(state.get("step", 0)) for state in states}) > 1:
            return "some weights have learned for longer than others"
    return None


def unfit_batch(batch: Any, step: Any) -> str | None:
    """Why steps with batches like this one cannot be compiled; `step` is the `LeanStep` that would make them."""
    pair = isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
    if not pair or step.cycle is None or not step.in_place:
        return "batches are not pairs of tensors from one loader"
    return None if step.bulk else "batches come one at a time"


def shapes(batch: Any) -> list[Any]:
    """Shape and type of each tensor of a batch."""
    return [(tuple(part.shape), part.dtype) for part in batch]


def first_line(error: Exception) -> str:
    """What kind of error it is, and the first line of what it says."""
    return f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]}"


class Unmoved:
    """Tells whether something happened that a compiled step would leave out: random numbers, changed buffers.

    Args:
        net: That is about to make a step.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net, self.random = net, torch.get_rng_state()
        self.buffers = self._versions()

    def reason(self) -> str | None:
        """What happened since this was made; None if nothing did."""
        if not torch.equal(self.random, torch.get_rng_state()):
            return "a step draws random numbers, such as dropout's"
        return (
            "a step changes buffers of the network, such as batch norm's" if self.buffers != self._versions() else None
        )

    def _versions(self) -> list[tuple[int, int]]:
        return [(id(buffer), buffer._version) for buffer in self.net.buffers()]


def _looks_on(callback: object, name: str) -> bool:
    """Whether a callback is to be called at every single step; some of ours need not be."""
    return not is_bound(callback, name) and not getattr(callback, "skips_steps", False)
