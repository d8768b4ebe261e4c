"""Which hooks anybody has, and whether the lean loops may call them in Lightning's place."""
# Lightning gives its objects more than it declares
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
# methods of a task that Lightning calls within a step, and the lean one passes by
PASSED_BY = ("on_train_batch_start", "optimizer_step", "optimizer_zero_grad", "backward", "configure_gradient_clipping")
TRANSFER = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class Hooks:
    """Of each hook in turn: the callbacks that have it, then the task if it does. Nobody else is called.

    Args:
        trainer: Whose callbacks are called.
        names: Of the hooks.
    """

    def __init__(self, trainer: Trainer, names: Iterable[str]) -> None:
        self.trainer, self.task = trainer, trainer.lightning_module
        self.state = vars(self.task)  # written without `Module.__setattr__`, which looks for parameters
        self.known = list(trainer.callbacks)
        self.callbacks = {name: [one for one in self.known if not is_idle(one, name)] for name in names}
        self.own = [name for name in names if has_hook(self.task, name, LightningModule)]
        self.hooks = {name: self._called(name) for name in names}

    @classmethod
    def of_now(cls, trainer: Trainer, names: Iterable[str], before: "Hooks | None") -> "Hooks":
        """Those from before, unless there are other callbacks now."""
        return before if before and before.known == trainer.callbacks else cls(trainer, names)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a hook wherever it is; `self.log` knows by its name what may be logged there."""
        for hook in self.hooks[name]:
            self.state["_current_fx_name"] = name
            hook(*arguments)

    def _called(self, name: str) -> list[Hook]:
        own = [getattr(self.task, name)] if name in self.own else []
        return [_bound(getattr(one, name), self.trainer, self.task) for one in self.callbacks[name]] + own


def _bound(hook: Hook, trainer: Trainer, task: LightningModule) -> Hook:
    return lambda *arguments: hook(trainer, task, *arguments)


def is_idle(callback: Callback, name: str) -> bool:
    """Whether a callback does nothing in a hook."""
    if not has_hook(callback, name, Callback):
        return True
    checkpoints = isinstance(callback, ModelCheckpoint) and name == "on_train_batch_end"
    return checkpoints and callback._every_n_train_steps < 1 and callback._train_time_interval is None


def has_hook(one: Any, name: str, base: type) -> bool:
    """Return whether an object overrides a hook: in its class, or for itself alone, as a `LambdaCallback` does."""
    return getattr(type(one), name) is not getattr(base, name) or name in vars(one)


def sets_modes(task: LightningModule, stage: str) -> bool:
    """Whether a task has its own way to set its modules to evaluation, or back."""
    return any(has_hook(task, f"on_{stage}_model_{mode}", LightningModule) for mode in ("eval", "train"))


def takes_index(step: Hook) -> bool:
    """Whether a task's step takes the number of its batch."""
    return is_param_in_hook_signature(step, "batch_idx", min_args=2)


def stays_in_place(trainer: Trainer, loaders: Iterable[Any]) -> bool:
    """Whether batches need neither another device nor another type, and nobody else wants to change them."""
    task, data = trainer.lightning_module, trainer.datamodule
    changed = [name for name in TRANSFER if has_hook(task, name, LightningModule)]
    changed += [name for name in TRANSFER if data is not None and has_hook(data, name, LightningDataModule)]
    made_on = {getattr(loader, "device", torch.device("cpu")) for loader in loaders}
    return made_on == {trainer.strategy.root_device} and not changed


def placed(batch: Any, trainer: Trainer) -> Any:
    """A batch where and as the task needs it."""
    batch = trainer.precision_plugin.convert_input(batch)
    batch = trainer.lightning_module._on_before_batch_transfer(batch, dataloader_idx=0)
    return trainer.strategy.batch_to_device(batch, dataloader_idx=0)


def forward_context(trainer: Trainer, name: str) -> Context:
    """What a step is made within: nothing, or the autocast of a mixed precision."""
    precision = trainer.precision_plugin
    return getattr(precision, name) if isinstance(precision, MixedPrecision) else nullcontext


def needs_lightning(trainer: Trainer) -> str | None:
    """Why steps have to be made by Lightning's own loops; None where the lean ones do the same."""
    task, precision = trainer.lightning_module, trainer.precision_plugin
    plain = type(precision) is Precision or (type(precision) is MixedPrecision and precision.scaler is None)
    reasons = {
        "strategy": type(trainer.strategy) is not SingleDeviceStrategy or trainer.strategy.model is not task,
        "precision": not plain,
        "profiler": not isinstance(trainer.profiler, PassThroughProfiler),
        "task": any(has_hook(task, name, LightningModule) for name in PASSED_BY),
        "optimizer": not all(
            type(optimizer).__module__.startswith("torch.optim") and not isinstance(optimizer, torch.optim.LBFGS)
            for optimizer in trainer.optimizers
        ),
    }
    return next((name for name, applies in reasons.items() if applies), None)
