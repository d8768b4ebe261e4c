"""Gradient clipping for all tasks, including those with manual optimization."""

from typing import Literal

from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm
from torch.optim import Optimizer

from trainer.core.errors import UserError
from trainer.training.loop.gradient_clipping import GradientClipper


class GradientClipping(GradientClipper):
    """Clip the gradients before each optimizer step, and log their norm before clipping as `train/grad_norm`.

    If a task has several optimizers, each network is clipped separately: `train/grad_norm_generator` and so on.

    (`trainer.gradient_clip_val` works too, but Lightning rejects it for tasks with manual optimization.)

    Args:
        algorithm: `"norm"` scales all gradients until their joint 2-norm is at most `value`; `"value"` clamps each
            number to [-`value`, `value`].
        value: Largest norm or absolute value; greater than 0.

    Raises:
        UserError: `value` is not positive, or a fused optimizer unscales the gradients itself.

    Source:
        Pascanu, Mikolov, Bengio 2013, On the difficulty of training recurrent neural networks.
    """

    affects_training = True

    def __init__(self, *, algorithm: Literal["norm", "value"] = "norm", value: float = 1.0) -> None:
        if value <= 0:
            raise UserError(f"callbacks.gradient_clipping.value: {value} is not greater than 0")
        self.algorithm = algorithm
        self.value = value

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        is_scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        if is_scaled and any(
            getattr(optimizer, "_step_supports_amp_scaling", False) for optimizer in trainer.optimizers
        ):
            raise UserError("callbacks.gradient_clipping: with precision 16-mixed set optimizer.fused=false")

    def clip_gradients(self, optimizer: Optimizer) -> Tensor:
        weights = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if self.algorithm == "norm":
            return clip_grad_norm_(weights, self.value)
        norm = get_total_norm([p.grad for p in weights])
        clip_grad_value_(weights, self.value)
        return norm
