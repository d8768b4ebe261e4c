"""Gradient clipping as a callback: the same for every task, manual optimisation included."""

from typing import Literal

from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm
from torch.optim import Optimizer

from trainer.core.errors import UserError
from trainer.training.loop.gradient_clipping import BoundsGradients


class GradientClipping(BoundsGradients):
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

    affects_training = True

    def __init__(self, *, by: Literal["norm", "value"] = "norm", limit: float = 1.0) -> None:
        if limit <= 0:
            raise UserError(f"callbacks.gradient_clipping.limit: {limit} is not greater than 0")
        self.by, self.limit = by, limit

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        if scaled and any(getattr(one, "_step_supports_amp_scaling", False) for one in trainer.optimizers):
            raise UserError("callbacks.gradient_clipping: with precision 16-mixed set optimizer.fused=false")

    def bound(self, optimizer: Optimizer) -> Tensor:
        weights = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if self.by == "norm":
            return clip_grad_norm_(weights, self.limit)
        norm = get_total_norm([p.grad for p in weights])
        clip_grad_value_(weights, self.limit)
        return norm
