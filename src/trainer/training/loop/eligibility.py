"""Conditions under which training steps can be run without calling hooks, and their operations recorded."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.plugins.precision import Precision
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim import optimizer as of_torch

from trainer.task.supervised import Supervised
from trainer.training.loop.gradient_clipping import is_bound
from trainer.training.loop.hook_dispatch import Hooks

UPDATES = (SGD, Adam, AdamW)  # optimizers whose updates can be recorded


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


def unfit_kind(trainer: Trainer) -> str | None:
    """Return why the steps of a run cannot be recorded because of its device or precision, or None if they can."""
    if trainer.strategy.root_device.type != "cpu":
        return "they are made on the CPU only"
    return None if type(trainer.precision_plugin) is Precision else "trainer.precision is not 32-true"


def unfit_rates(trainer: Trainer) -> str | None:
    """Return why updates cannot be recorded because a setting changes between steps, or None if they can."""
    schedules = [config.scheduler for config in trainer.lr_scheduler_configs]
    if any(getattr(one, "cycle_momentum", False) for one in schedules):
        return "the schedule changes more than the rate"
    if any(isinstance(group["lr"], Tensor) for optimizer in trainer.optimizers for group in optimizer.param_groups):
        return "the optimizer's rate is a tensor"
    return None


def unfit_steps(optimizer: Optimizer) -> str | None:
    """Return why the updates of an optimizer cannot be recorded, or None if they can."""
    if type(optimizer) not in UPDATES:
        return "the optimizer is not SGD, Adam or AdamW"
    return "the optimizer has hooks" if has_step_hooks(optimizer) else None


def has_step_hooks(optimizer: Optimizer) -> bool:
    """Whether something is called before or after its steps, or those of all optimizers."""
    before: list[Any] = [optimizer._optimizer_step_pre_hooks, of_torch._global_optimizer_pre_hooks]
    after: list[Any] = [optimizer._optimizer_step_post_hooks, of_torch._global_optimizer_post_hooks]
    return any(before + after)


def has_hooks(weight: Tensor) -> bool:
    """Whether something is called with its gradients."""
    return bool(weight._backward_hooks or weight._post_accumulate_grad_hooks)


def first_line(error: Exception) -> str:
    """What kind of error it is, and the first line of what it says."""
    return f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]}"


def _looks_on(callback: object, name: str) -> bool:
    """Whether a callback is to be called at every single step; some of ours need not be."""
    return not is_bound(callback, name) and not getattr(callback, "skips_steps", False)
