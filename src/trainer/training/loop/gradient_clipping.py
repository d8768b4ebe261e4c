"""Bounds: what keeps the gradients of a run small, before each update."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

from abc import ABC, abstractmethod
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from trainer.training.loop.step_logging import log_by_network


class BoundsGradients(Callback, ABC):
    """A callback that bounds gradients before an update, and logs their norm before that as `train/grad_norm`.

    Where a task has several optimizers, each network is bounded by itself: `train/grad_norm_generator` and so on.
    Unlogged steps run in a row all the same: `trainer.training.loop` calls `bound`, or does what it did.
    """

    @abstractmethod
    def bound(self, optimizer: Optimizer) -> Tensor:
        """Change the gradients of an optimizer's weights, by nothing but what they are.

        Returns:
            Their norm before that, ().
        """

    def log_norm(self, task: LightningModule, optimizer: Optimizer, norm: Tensor) -> None:
        """Log what `bound` has returned."""
        log_by_network(task, "train/grad_norm", optimizer, norm)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        self.log_norm(pl_module, optimizer, self.bound(optimizer))


class Bounds:
    """The callbacks of a run that bound gradients, and then the trainer's own clipping.

    Args:
        trainer: Whose gradients these are.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.task: LightningModule = trainer.lightning_module
        self.callbacks = [one for one in trainer.callbacks if isinstance(one, BoundsGradients)]
        self.limit, self.algorithm = trainer.gradient_clip_val, trainer.gradient_clip_algorithm

    def __bool__(self) -> bool:
        return bool(self.limit or self.callbacks)

    def keep(self, optimizer: Optimizer) -> list[Any]:
        """Bound the gradients as all of them do; returns the norms that are to be logged."""
        norms = [one.bound(optimizer) for one in self.callbacks]
        self.clip(optimizer)
        return norms

    def clip(self, optimizer: Optimizer) -> None:
        """What the trainer itself does, after the callbacks."""
        if self.limit:
            self.task.clip_gradients(optimizer, self.limit, self.algorithm)

    def log(self, optimizer: Optimizer, norms: list[Tensor]) -> None:
        """Log the norms of a step."""
        for one, norm in zip(self.callbacks, norms, strict=True):
            one.log_norm(self.task, optimizer, norm)


def is_bound(callback: object, hook: str) -> bool:
    """Whether all that a callback does in a hook is to bound gradients."""
    return hook == "on_before_optimizer_step" and (
        getattr(type(callback), hook) is BoundsGradients.on_before_optimizer_step
    )
