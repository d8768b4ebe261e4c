"""Gradient clipping of a run, by callbacks and by the trainer."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from abc import ABC, abstractmethod
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from trainer.core.callback import Callback
from trainer.training.loop.optimizer_names import log_by_optimizer


class GradientClipper(Callback, ABC):
    """Base class of callbacks that clip gradients and log the norm before clipping as `train/grad_norm`.

    If a task has several optimizers, each network is clipped and logged separately: `train/grad_norm_generator`.
    The fast loop calls `clip_gradients` directly, or replays its operations, in steps that run without hooks.
    """

    @abstractmethod
    def clip_gradients(self, optimizer: Optimizer) -> Tensor:
        """Clip the gradients of an optimizer's weights. The result may depend on the gradients only.

        Returns:
            Norm of the gradients before clipping, ().
        """

    def log_norm(self, task: LightningModule, optimizer: Optimizer, norm: Tensor) -> None:
        """Log the norm that `clip_gradients` has returned."""
        log_by_optimizer(task, "train/grad_norm", optimizer, norm)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        self.log_norm(pl_module, optimizer, self.clip_gradients(optimizer))


class GradientClippers:
    """Callbacks of a run that clip gradients, followed by the trainer's own clipping."""

    def __init__(self, trainer: Trainer) -> None:
        self.task: LightningModule = trainer.lightning_module
        self.callbacks = [callback for callback in trainer.callbacks if isinstance(callback, GradientClipper)]
        self.clip_value = trainer.gradient_clip_val
        self.algorithm = trainer.gradient_clip_algorithm

    def __bool__(self) -> bool:
        return bool(self.clip_value or self.callbacks)

    def clip_all(self, optimizer: Optimizer) -> list[Any]:
        """Clip the gradients by callbacks and trainer; return the norms before clipping, one per callback."""
        norms = [callback.clip_gradients(optimizer) for callback in self.callbacks]
        self.clip_by_trainer(optimizer)
        return norms

    def clip_by_trainer(self, optimizer: Optimizer) -> None:
        """Clip the gradients as the trainer's arguments specify."""
        if self.clip_value:
            self.task.clip_gradients(optimizer, self.clip_value, self.algorithm)

    def log(self, optimizer: Optimizer, norms: list[Tensor]) -> None:
        """Log the norms of a step."""
        for callback, norm in zip(self.callbacks, norms, strict=True):
            callback.log_norm(self.task, optimizer, norm)


def is_clipping_hook(callback: object, hook: str) -> bool:
    """Return True if a hook of a callback does nothing but clip gradients."""
    return hook == "on_before_optimizer_step" and (
        getattr(type(callback), hook) is GradientClipper.on_before_optimizer_step
    )
