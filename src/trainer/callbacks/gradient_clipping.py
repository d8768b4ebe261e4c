"""Gradient clipping as a callback: the same for every task, manual optimisation included."""

from typing import Any, Literal, Protocol, runtime_checkable

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from trainer.errors import UserError


@runtime_checkable
class NamesOptimizers(Protocol):
    """A task of several networks, each with its own optimizer."""

    def name_of(self, optimizer: Optimizer) -> str:
        """The network that an optimizer is for."""
        ...


class GradientClipping(Callback):
    """Bound the gradients before each optimizer step, and log their norm before that as `train/grad_norm`.

    Where a task has several optimizers, each network is bounded by itself: `train/grad_norm_generator` and so on.

    (`trainer.gradient_clip_val` works too, but Lightning refuses it for tasks with manual optimisation.)

    Args:
        by: `"norm"` shrinks all gradients together until their joint 2-norm is at most `limit`;
            `"value"` cuts each number off at `limit` either way.
        limit: The bound; greater than 0.

    Raises:
        UserError: `limit` is not positive, or the gradients are scaled and a fused optimizer hides by how much.

    Source:
        Pascanu, Mikolov, Bengio 2013, On the difficulty of training recurrent neural networks.
    """

    def __init__(self, *, by: Literal["norm", "value"] = "norm", limit: float = 1.0) -> None:
        if limit <= 0:
            raise UserError(f"callbacks.gradient_clipping.limit: {limit} is not greater than 0")
        self.by, self.limit = by, limit

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        if scaled and getattr(optimizer, "_step_supports_amp_scaling", False):  # it would undo the scaling after this
            raise UserError("callbacks.gradient_clipping: with precision 16-mixed set optimizer.fused=false")
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm: Any
        if self.by == "norm":
            norm = torch.nn.utils.clip_grad_norm_(parameters, self.limit)
        else:
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            torch.nn.utils.clip_grad_value_(parameters, self.limit)
        name = f"_{pl_module.name_of(optimizer)}" if isinstance(pl_module, NamesOptimizers) else ""
        pl_module.log(f"train/grad_norm{name}", norm)
