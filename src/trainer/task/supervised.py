"""Supervised training of one network."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from trainer.core.errors import UserError, attribute_errors_to
from trainer.core.logged_metrics import LOSS_METRICS
from trainer.core.precision import widen_floats
from trainer.core.spec import Batch
from trainer.core.target_scale import TargetScale
from trainer.task.losses import NO_PENALTY
from trainer.task.metric_accumulator import MetricAccumulator
from trainer.task.objective import Objective
from trainer.task.scheduler_config import make_scheduler_config
from trainer.task.schedulers import SchedulerFactory
from trainer.task.test_time_augmentation import ViewsName, average_views, validate_views
from trainer.task.training_metrics import update_metrics
from trainer.task.training_statistics import compute_statistics

OptimizerFactory = Callable[..., Optimizer]

# precisions in which Lightning also rounds targets
HALF_PRECISION_DTYPES = {"bf16-true": torch.bfloat16, "16-true": torch.float16}

log = logging.getLogger(__name__)


class Supervised(LightningModule):
    """Train one network on one loss.

    Losses and metrics are computed with at least 32 bits, also if the network computes with 16.

    Logs `train/loss` every `trainer.log_every_n_steps` steps, and the loss and all metrics of the objective as `val/`
    and `test/` after each epoch, over all its examples.

    Balanced class weights are those of the data module's `class_counts`. Checkpoints contain them, and the decision
    threshold that the last validation has chosen.

    If the data module has a `target_scale`, the network learns standardized values, and its outputs are in the units of
    the targets. Checkpoints contain the scale; after loading one, its scale is used.

    Args:
        net: Network that maps inputs (batch, *spec.shape) to outputs (batch, output_size).
        objective: Loss, predictions and metrics.
        optimizer: Factory that receives the parameters.
        scheduler: Factory that receives the optimizer, and `total_steps` if it has this parameter.
        test_time_augmentation: Views of each image over which outputs are averaged in validation, test and prediction;
            see `ViewAverage`. Defaults to `"none"`.

    Raises:
        UserError: The inputs are no images, which `test_time_augmentation` needs.
    """

    def __init__(
        self,
        net: nn.Module,
        objective: Objective,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        *,
        test_time_augmentation: ViewsName = "none",
    ) -> None:
        super().__init__()
        validate_views(test_time_augmentation, objective.spec)
        self.net = net
        self.objective = objective
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.accumulators = {
            "train": MetricAccumulator(objective),
            "val": MetricAccumulator(objective, chooses_threshold=True),
            "test": MetricAccumulator(objective),
        }
        self.test_time_augmentation = test_time_augmentation
        self.accumulator_modules = nn.ModuleList(self.accumulators.values())  # moves them to the device
        self._scale_handle: RemovableHandle | None = None
        self._is_scale_known = False

    @property
    def logged_metrics(self) -> list[str]:
        """Names of all metrics that this task logs; callbacks may monitor them."""
        metrics = [*LOSS_METRICS, *self.objective.metrics()]
        training = [f"train/{metric}" for metric in self.objective.metrics() if self.objective.training_examples]
        return ["train/loss", *training, *(f"{stage}/{metric}" for stage in ("val", "test") for metric in metrics)]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(inputs) if self.training else average_views(self.net, inputs, self.test_time_augmentation)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs, targets = batch
        loss = self.objective.loss(widen_floats(self.net(inputs)), widen_floats(targets))
        self.log("train/loss", loss, prog_bar=True)
        return loss if self.objective.penalty == NO_PENALTY else loss + self.objective.penalty(self.net)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._evaluate("test", batch)

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")
        if update_metrics(self.accumulators["train"], self, self.objective.training_examples):
            self._log_metrics("train")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def setup(self, stage: str) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if not self._is_scale_known:
            self._set_scale(getattr(data, "target_scale", None))
        if stage == "fit":  # a checkpoint that is loaded afterwards contains the statistics of its training
            compute_statistics(self.net, data)

    def on_fit_start(self) -> None:
        if self.objective.threshold.criterion and not self.trainer.enable_validation:
            raise UserError("objective.threshold: there are no validation examples to choose it on; expected a number")
        self._set_class_counts()
        scale = self.objective.target_scale
        if scale and self.trainer.is_global_zero:
            log.info(f"loss   of standardized targets ({scale}); metrics are in their original units")

    def on_test_start(self) -> None:
        threshold = self.objective.threshold
        if threshold.criterion and not threshold.is_chosen:
            problem = f"{threshold.criterion}: no validation has chosen a threshold for these weights"
            raise UserError(f"objective.threshold: {problem}; expected a number")
        self._set_class_counts()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        scale = self.objective.target_scale
        checkpoint["target_scale"] = scale.state() if scale else None
        checkpoint["objective"] = self.objective.state()
        checkpoint["test_time_augmentation"] = self.test_time_augmentation

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get("target_scale")
        self._set_scale(TargetScale.from_state(state) if state else None)
        self.objective.restore(checkpoint.get("objective") or {})

    def configure_optimizers(self) -> Any:
        with attribute_errors_to("optimizer"):
            optimizer = self.make_optimizer(self.parameters())
        with attribute_errors_to("scheduler"):
            schedule = make_scheduler_config(self.make_scheduler, optimizer, self.trainer)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _set_scale(self, scale: TargetScale | None) -> None:
        """Set the scale of the targets; None removes it."""
        if scale and (dtype := HALF_PRECISION_DTYPES.get(str(self.trainer.precision))) and not scale.fits_dtype(dtype):
            raise UserError(f"trainer.precision: {dtype} has too few digits for targets of {scale}; expected 32-true")
        if self._scale_handle:
            self._scale_handle.remove()
        self._scale_handle = scale.attach(self.net) if scale else None
        self.objective.target_scale = scale
        self._is_scale_known = True

    def _set_class_counts(self) -> None:
        """Set balanced class weights, unless a checkpoint contains them."""
        if self.objective.requires_class_counts:
            self.objective.balance_classes(getattr(getattr(self.trainer, "datamodule", None), "class_counts", None))

    def _evaluate(self, stage: str, batch: Batch) -> Tensor:
        """Log the loss of a batch, update the metrics, and return the outputs for callbacks."""
        inputs, targets = batch
        outputs = widen_floats(self(inputs))
        targets = widen_floats(targets)
        loss = self.objective.loss(outputs, targets)
        self.log(f"{stage}/loss", loss, batch_size=len(targets), prog_bar=stage == "val", sync_dist=True)
        self.accumulators[stage].update(outputs, targets)
        return outputs

    def _log_metrics(self, stage: str) -> None:
        for name, value in self.accumulators[stage].compute().items():
            # equal in all processes; sync_dist prevents a warning of Lightning
            self.log(f"{stage}/{name}", value, prog_bar=stage == "val", sync_dist=True)
