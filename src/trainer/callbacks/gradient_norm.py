"""Log of the gradient norm."""

from pytorch_lightning import LightningModule, Trainer
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from trainer.core.callback import Callback, StepMetric
from trainer.training.loop.optimizer_names import log_by_optimizer
from trainer.training.loop.step_logging import is_logging_step


class GradientNorm(Callback):
    """Log the norm of all gradients, before clipping, for the steps whose loss is logged, in the same row.

    The metric is `grad_norm`; for a task with several optimizers the name of the network or of the optimizer is added:
    `grad_norm_generator`, or `grad_norm_Adam` and `grad_norm_Adam-1`.
    """

    affects_training = False
    skips_steps = True  # `trainer.training.loop` need not call it in steps that are not logged

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if not (trainer.loggers and is_logging_step(trainer)):
            return
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        log_by_optimizer(pl_module, "grad_norm", optimizer, get_total_norm(gradients))

    def step_metrics(self, trainer: Trainer) -> dict[str, StepMetric]:
        return {"grad_norm": "gradient norm"}
