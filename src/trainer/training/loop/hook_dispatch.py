"""Calls of overridden hooks, and the conditions under which the fast loops may replace Lightning's."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision, Precision
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.signature_utils import is_param_in_hook_signature

from trainer.core.callback import has_hook
from trainer.task.muon import MuonAdamW

Hook = Callable[..., Any]
Context = Callable[[], AbstractContextManager[Any]]
STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
# methods of a task that Lightning calls within a step, and the fast loop does not
BYPASSED_HOOKS = (
    "on_train_batch_start",
    "optimizer_step",
    "optimizer_zero_grad",
    "backward",
    "configure_gradient_clipping",
)
TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class HookDispatcher:
    """Calls the hooks that callbacks and the task override, and no others.

    Args:
        trainer: Trainer with the callbacks and the task.
        names: Names of the hooks.
    """

    def __init__(self, trainer: Trainer, names: Iterable[str]) -> None:
        self.trainer = trainer
        self.task = trainer.lightning_module
        self.state = vars(self.task)  # written without `Module.__setattr__`, which searches for parameters
        self._all_callbacks = list(trainer.callbacks)
        self.callbacks = {name: [part for part in self._all_callbacks if not is_idle(part, name)] for name in names}
        self.task_hooks = [name for name in names if has_hook(self.task, name, LightningModule)]
        self.functions = {name: self._resolve_hooks(name) for name in names}

    @classmethod
    def reuse_or_create(
        cls, trainer: Trainer, names: Iterable[str], previous: "HookDispatcher | None"
    ) -> "HookDispatcher":
        """Return the previous dispatcher, or a new one if there is none or the callbacks have changed."""
        return previous if previous and previous._all_callbacks == trainer.callbacks else cls(trainer, names)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a hook of all callbacks and of the task. `self.log` uses its name to check what may be logged."""
        for function in self.functions[name]:
            self.state["_current_fx_name"] = name
            function(*arguments)

    def _resolve_hooks(self, name: str) -> list[Hook]:
        functions = [_bind(getattr(callback, name), self.trainer, self.task) for callback in self.callbacks[name]]
        return functions + ([getattr(self.task, name)] if name in self.task_hooks else [])


def _bind(hook: Hook, trainer: Trainer, task: LightningModule) -> Hook:
    return lambda *arguments: hook(trainer, task, *arguments)


def is_idle(callback: Callback, name: str) -> bool:
    """Return True if a callback does nothing in a hook."""
    if not has_hook(callback, name, Callback):
        return True
    is_checkpoint = isinstance(callback, ModelCheckpoint) and name == "on_train_batch_end"
    return is_checkpoint and callback._every_n_train_steps < 1 and callback._train_time_interval is None


def has_mode_hooks(task: LightningModule, stage: str) -> bool:
    """Return True if a task overrides how its modules are set to evaluation mode or back."""
    return any(has_hook(task, f"on_{stage}_model_{mode}", LightningModule) for mode in ("eval", "train"))


def accepts_batch_index(step: Hook) -> bool:
    """Return True if a task's step has the parameter `batch_idx`."""
    return is_param_in_hook_signature(step, "batch_idx", min_args=2)


def is_batch_in_place(trainer: Trainer, loaders: Iterable[Any]) -> bool:
    """Return True if batches are on the right device, and neither task nor data module change them."""
    data = trainer.datamodule
    is_changed = any(
        has_hook(trainer.lightning_module, name, LightningModule)
        or (data is not None and has_hook(data, name, LightningDataModule))
        for name in TRANSFER_HOOKS
    )
    devices = {getattr(loader, "device", torch.device("cpu")) for loader in loaders}
    return devices == {trainer.strategy.root_device} and not is_changed


def transfer_batch(batch: Any, trainer: Trainer) -> Any:
    """Return a batch in the precision and on the device of the task, changed by the transfer hooks."""
    batch = trainer.precision_plugin.convert_input(batch)
    batch = trainer.lightning_module._on_before_batch_transfer(batch, dataloader_idx=0)
    return trainer.strategy.batch_to_device(batch, dataloader_idx=0)


def forward_context(trainer: Trainer, name: str) -> Context:
    """Return the context manager of a forward pass: autocast with mixed precision, else one that does nothing."""
    precision = trainer.precision_plugin
    return getattr(precision, name) if isinstance(precision, MixedPrecision) else nullcontext


def reason_lightning_required(trainer: Trainer) -> str | None:
    """Return the part of a run that requires Lightning's own loops, or None if the fast loops are equivalent."""
    task = trainer.lightning_module
    precision = trainer.precision_plugin
    is_supported = type(precision) is Precision or (type(precision) is MixedPrecision and precision.scaler is None)
    reasons = {
        "strategy": type(trainer.strategy) is not SingleDeviceStrategy or trainer.strategy.model is not task,
        "precision": not is_supported,
        "profiler": not isinstance(trainer.profiler, PassThroughProfiler),
        "task": any(has_hook(task, name, LightningModule) for name in BYPASSED_HOOKS),
        "optimizer": not all(
            type(optimizer).__module__.startswith(("torch.optim", MuonAdamW.__module__))
            and not isinstance(optimizer, torch.optim.LBFGS)
            for optimizer in trainer.optimizers
        ),
    }
    return next((name for name, applies in reasons.items() if applies), None)
