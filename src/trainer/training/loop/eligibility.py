"""Conditions under which training steps run without hooks, and under which their operations are traced."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from collections.abc import Iterator
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.plugins.precision import Precision
from torch import Tensor
from torch.nn.modules import module as torch_module
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim import optimizer as torch_optimizer

from trainer.task.supervised import Supervised
from trainer.training.loop.gradient_clipping import is_clipping_hook
from trainer.training.loop.hook_dispatch import HookDispatcher

TRACEABLE_OPTIMIZERS = (SGD, Adam, AdamW)  # optimizers whose updates can be traced
MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
GLOBAL_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")


def reason_hooks_required(trainer: Trainer, hooks: HookDispatcher) -> str | None:
    """Return the reason why hooks must be called at every step, or None if steps can run without them.

    Args:
        trainer: Trainer that is about to train.
        hooks: Hooks that are called within a step.
    """
    task = trainer.lightning_module
    if not isinstance(task, Supervised) or any(
        getattr(type(task), name) is not getattr(Supervised, name) for name in ("training_step", "forward")
    ):
        return "the task overrides the training step"
    required = [
        type(callback).__name__
        for name, callbacks in hooks.callbacks.items()
        for callback in callbacks
        if not is_clipping_hook(callback, name) and not getattr(callback, "skips_steps", False)
    ]
    required += hooks.task_hooks
    if required:
        return f"{required[0]} is called at every step"
    return "trainer.fast_dev_run is set" if trainer.fast_dev_run else None


def reason_device_not_traceable(trainer: Trainer) -> str | None:
    """Return the reason why the device or precision of a run prevents tracing, or None if it does not."""
    if trainer.strategy.root_device.type != "cpu":
        return "steps are traced on the CPU only"
    return None if type(trainer.precision_plugin) is Precision else "trainer.precision is not 32-true"


def reason_rates_not_traceable(trainer: Trainer) -> str | None:
    """Return the reason why a setting that changes between steps prevents tracing of updates, or None."""
    schedules = [part for config in trainer.lr_scheduler_configs for part in _list_schedules(config.scheduler)]
    if any(getattr(schedule, "cycle_momentum", False) for schedule in schedules):
        return "the scheduler changes more than the learning rate"
    if any(isinstance(group["lr"], Tensor) for optimizer in trainer.optimizers for group in optimizer.param_groups):
        return "the learning rate is a tensor"
    return None


def _list_schedules(schedule: Any) -> Iterator[Any]:
    """Yield a schedule, and those that it combines."""
    yield schedule
    for part in getattr(schedule, "_schedulers", ()):
        yield from _list_schedules(part)


def reason_optimizer_not_traceable(optimizer: Optimizer) -> str | None:
    """Return the reason why the updates of an optimizer cannot be traced, or None if they can."""
    if type(optimizer) not in TRACEABLE_OPTIMIZERS:
        return "the optimizer is not SGD, Adam or AdamW"
    return "the optimizer has hooks" if has_step_hooks(optimizer) else None


def is_fused(optimizer: Optimizer) -> bool:
    """Return True if an update is one operation that receives the learning rate, so that its trace has no constant."""
    return all(group.get("fused") for group in optimizer.param_groups)


def has_step_hooks(optimizer: Optimizer) -> bool:
    """Return True if a hook is called before or after the steps of the optimizer or of all optimizers."""
    hooks: list[Any] = [
        *(optimizer._optimizer_step_pre_hooks, torch_optimizer._global_optimizer_pre_hooks),
        *(optimizer._optimizer_step_post_hooks, torch_optimizer._global_optimizer_post_hooks),
    ]
    return any(hooks)


def has_gradient_hooks(weight: Tensor) -> bool:
    """Return True if a hook is called with the gradients of a weight."""
    return bool(weight._backward_hooks or weight._post_accumulate_grad_hooks)


def has_module_hooks(task: Any) -> bool:
    """Return whether a call of the network of a task calls hooks, except the one of the target scale."""
    scale = task.objective.target_scale
    modules = task.net.modules()
    hooks = [hook for module in modules for name in MODULE_HOOKS for hook in getattr(module, name).values()]
    hooks = [hook for hook in hooks if not (scale and scale.is_hook(hook))]
    return bool(hooks) or any(getattr(torch_module, name) for name in GLOBAL_HOOKS)


def format_error(error: Exception) -> str:
    """Return the class of an error and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]}"
