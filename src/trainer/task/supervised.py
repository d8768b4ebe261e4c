"""Supervised: one network learns to give the right output for each input."""

from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from trainer.errors import blamed_on
from trainer.losses import NONE
from trainer.objective import Objective
from trainer.schedule import MakeSchedule, lightning_schedule
from trainer.spec import Batch

MakeOptimizer = Callable[..., Optimizer]

AT_ONCE = 4096  # examples that metrics are told of together, as they take as long for a few


class Supervised(LightningModule):
    """Train one network on one loss.

    Logs `train/loss` every `trainer.log_every_n_steps` steps, and `val/` and `test/` with the loss and every
    metric of the objective once an epoch, over all its examples.

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
        self.metrics = {"val": objective.metrics(), "test": objective.metrics()}
        self.metric_modules = nn.ModuleList(self.metrics.values())  # so that they move to the device with the rest
        self._untold: list[tuple[Tensor, Tensor]] = []  # outputs and targets that the metrics do not know of yet

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

    def configure_optimizers(self) -> Any:
        with blamed_on("optimizer"):
            optimizer = self.make_optimizer(self.parameters())
        with blamed_on("scheduler"):
            schedule = lightning_schedule(self.make_schedule, optimizer, self.trainer)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _judge(self, stage: str, batch: Batch) -> Tensor:
        """Log the loss of a batch and note its outputs; returns them, for callbacks to look at."""
        inputs, targets = batch
        outputs = self(inputs)
        loss = self.objective.loss(outputs, targets)
        self.log(f"{stage}/loss", loss, batch_size=len(targets), prog_bar=stage == "val", sync_dist=True)
        self._untold.append((outputs, targets))
        if len(targets) * len(self._untold) >= AT_ONCE:
            self._tell_metrics(stage)
        return outputs

    def _tell_metrics(self, stage: str) -> None:
        outputs, targets = (torch.cat(parts) for parts in zip(*self._untold, strict=True))
        self._untold = []
        predictions, scores = self.objective.predictions(outputs), self.objective.scores(outputs)
        self.metrics[stage].update(preds=predictions, scores=scores, target=targets)

    def _log_metrics(self, stage: str) -> None:
        if self._untold:
            self._tell_metrics(stage)
        for name, value in self.metrics[stage].compute().items():  # equal in all processes: Lightning need not know
            self.log(f"{stage}/{name}", value, prog_bar=stage == "val", sync_dist=True)
        self.metrics[stage].reset()
