"""Supervised: one network learns to give the right output for each input."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from trainer.errors import blamed_on
from trainer.losses import NONE
from trainer.objective import Objective
from trainer.schedule import MakeSchedule, lightning_schedule
from trainer.spec import Batch
from trainer.task.judge import Judge

MakeOptimizer = Callable[..., Optimizer]


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
        self.judges = {"val": Judge(objective), "test": Judge(objective)}
        self.judge_modules = nn.ModuleList(self.judges.values())  # so that they move to the device with the rest

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
        self.judges[stage].note(outputs, targets)
        return outputs

    def _log_metrics(self, stage: str) -> None:
        for name, value in self.judges[stage].verdict().items():  # equal in all processes: Lightning need not know
            self.log(f"{stage}/{name}", value, prog_bar=stage == "val", sync_dist=True)
