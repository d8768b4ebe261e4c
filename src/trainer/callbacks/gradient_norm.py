"""Gradient norm: how steep the loss is, beside it."""

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from trainer.training.loop.step_logging import is_logged, log_by_network


class GradientNorm(Callback):
    """Log the norm of all gradients together for the steps whose loss is logged, and in the same row.

    Its name is `grad_norm`, and with it that of the network where several learn by turns: `grad_norm_generator`. It is
    the norm before any clipping.
    """

    affects_training = False
    skips_steps = True  # those that are not logged; `trainer.training.loop` need not call it there

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if not (trainer.loggers and is_logged(trainer)):
            return
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        log_by_network(pl_module, "grad_norm", optimizer, get_total_norm(gradients))
