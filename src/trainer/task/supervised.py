"""Supervised: one network learns to give the right output for each input."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from trainer.core.errors import UserError, blamed_on
from trainer.core.spec import Batch
from trainer.core.target_scale import TargetScale
from trainer.task.losses import NONE
from trainer.task.metric_accumulator import Judge
from trainer.task.objective import Objective
from trainer.task.schedulers import MakeSchedule, lightning_schedule

MakeOptimizer = Callable[..., Optimizer]

HALF = {"bf16-true": torch.bfloat16, "16-true": torch.float16}  # precisions in which Lightning rounds targets too

log = logging.getLogger(__name__)


class Supervised(LightningModule):
    """Train one network on one loss.

    Logs `train/loss` every `trainer.log_every_n_steps` steps, and `val/` and `test/` with the loss and every
    metric of the objective once an epoch, over all its examples.

    If the data module has a `target_scale`, the network learns standardized values and returns them in the units of the
    targets; a checkpoint contains the scale, and the one of a loaded checkpoint is used with its weights.

    Args:
        net: Maps inputs (batch, *spec.shape) to outputs (batch, output_size).
        objective: Gives loss, predictions and metrics.
        optimizer: Called with the parameters.
        scheduler: Called with the optimizer, and with `total_steps` where it takes that.
    """

    def __init__(self, net: nn.Module, objective: Objective, optimizer: MakeOptimizer, scheduler: MakeSchedule) -> None:
        super().__init__()
        self.net, self.objective = net, objective
        self.make_optimizer, self.make_schedule = optimizer, scheduler
        self.judges = {"val": Judge(objective), "test": Judge(objective)}
        self.judge_modules = nn.ModuleList(self.judges.values())  # so that they move to the device with the rest
        self._scaled_by: RemovableHandle | None = None
        self._is_scale_known = False  # of the network's weights

    @property
    def logged(self) -> list[str]:
        """Names of all metrics that this task logs; callbacks may wait for any of them."""
        metrics = ["loss", *self.objective.metrics()]
        return ["train/loss", *(f"{stage}/{metric}" for stage in ("val", "test") for metric in metrics)]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(inputs)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs, targets = batch
        loss = self.objective.loss(self.net(inputs), targets)
        self.log("train/loss", loss, prog_bar=True)
        return loss if self.objective.penalty == NONE else loss + self.objective.penalty(self.net)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._judge("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._judge("test", batch)

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def setup(self, stage: str) -> None:
        if not self._is_scale_known:
            self._scale(getattr(getattr(self.trainer, "datamodule", None), "target_scale", None))

    def on_fit_start(self) -> None:
        scale = self.objective.target_scale
        if scale and self.trainer.is_global_zero:
            log.info(f"loss   of standardized targets ({scale}); metrics are in their original units")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        scale = self.objective.target_scale
        checkpoint["target_scale"] = scale.state() if scale else None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get("target_scale")
        self._scale(TargetScale.from_state(state) if state else None)

    def configure_optimizers(self) -> Any:
        with blamed_on("optimizer"):
            optimizer = self.make_optimizer(self.parameters())
        with blamed_on("scheduler"):
            schedule = lightning_schedule(self.make_schedule, optimizer, self.trainer)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _scale(self, scale: TargetScale | None) -> None:
        """Set the scale in which the network learns; None leaves its outputs as they are."""
        if scale and (dtype := HALF.get(str(self.trainer.precision))) and not scale.survives(dtype):
            raise UserError(f"trainer.precision: {dtype} has too few digits for targets of {scale}; expected 32-true")
        if self._scaled_by:
            self._scaled_by.remove()
        self._scaled_by = scale.attach(self.net) if scale else None
        self.objective.target_scale = scale
        self._is_scale_known = True

    def _judge(self, stage: str, batch: Batch) -> Tensor:
        """Log the loss of a batch and note its outputs; returns them, for callbacks to look at."""
        inputs, targets = batch
        outputs = self(inputs)
        loss = self.objective.loss(outputs, targets)
        self.log(f"{stage}/loss", loss, batch_size=len(targets), prog_bar=stage == "val", sync_dist=True)
        self.judges[stage].note(outputs, targets)
        return outputs

    def _log_metrics(self, stage: str) -> None:
        for name, value in self.judges[stage].verdict().items():  # equal in all processes: Lightning need not know
            self.log(f"{stage}/{name}", value, prog_bar=stage == "val", sync_dist=True)
