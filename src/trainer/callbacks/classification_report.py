"""Metrics of each class, confusion matrix, ROC and precision-recall curves of the test."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassROC
from torchmetrics.utilities import dim_zero_cat

from trainer.callbacks.plots.confusion_matrix import draw_confusion_matrix
from trainer.callbacks.plots.media import can_log_media, get_writers, log_image, log_table
from trainer.callbacks.plots.threshold_curves import (
    compute_pr_curves,
    compute_roc_curves,
    draw_pr_curves,
    draw_roc_curves,
)
from trainer.core.callback import Callback
from trainer.core.formatting import format_number
from trainer.core.logged_metrics import CLASS_METRICS
from trainer.core.spec import Batch, DataSpec, find_spec
from trainer.task.objective import Objective
from trainer.task.objective_lookup import find_objective


class ClassificationReport(Callback):
    """Log metrics of each class in the test. Does nothing for data without classes.

    Logs for each class NAME `test/accuracy/NAME` (recall: the correct fraction of its examples), `test/precision/NAME`
    (the correct fraction of the predictions NAME; NaN if there are none) and `test/f1/NAME`, and writes them as a
    table, `test/classification_report`. Draws `test/confusion_matrix` (one row for each true class), `test/roc` and
    `test/precision_recall` (each class against the rest), and writes `test/pr/NAME` for TensorBoard's tab PR curves.

    Args:
        max_classes: Largest number of classes that the report supports; with more, nothing is logged.
    """

    affects_training = False

    def __init__(self, *, max_classes: int = 20) -> None:
        self.max_classes = max_classes
        self._batches: list[tuple[Tensor, Tensor]] = []  # outputs and targets of each batch

    def logged_metrics(self, data: Any) -> list[str]:
        """Return the names of all metrics that are logged with these data; other callbacks may monitor them."""
        spec = find_spec(data)
        names = self._class_names(spec) if spec else ()
        return [f"test/{metric}/{name}" for metric in CLASS_METRICS for name in names]

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batches = []

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        if self._get_objective(pl_module) and find_objective(pl_module, outputs, batch):
            self._batches.append((outputs, batch[1]))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        objective = self._get_objective(pl_module)
        if not objective or (not self._batches and trainer.world_size == 1):
            return
        names = objective.spec.class_names
        confusion_matrix = MulticlassConfusionMatrix(len(names), validate_args=False).to(pl_module.device)
        roc = MulticlassROC(len(names), validate_args=False).to(pl_module.device)
        if self._batches:
            outputs, targets = (torch.cat(part) for part in zip(*self._batches, strict=True))
            scores = objective.scores(outputs)
            confusion_matrix.update(objective.predictions(outputs), targets)
            roc.update(scores if scores.dim() == 2 else torch.stack([1 - scores, scores], 1), targets)
        self._batches = []
        counts = confusion_matrix.compute()  # of all processes
        metrics = compute_class_metrics(counts)
        for metric, values in metrics.items():
            pl_module.log_dict({f"test/{metric}/{n}": v for n, v in zip(names, values, strict=True)}, sync_dist=True)
        columns = [counts.sum(1).tolist(), *(values.tolist() for values in metrics.values())]
        rows = [(name, *map(format_number, row)) for name, *row in zip(names, *columns, strict=True)]
        log_table(("class", "examples", *metrics), rows, "test/classification_report", trainer)
        log_image(partial(draw_confusion_matrix, counts.cpu(), names), "test/confusion_matrix", trainer)
        with roc.sync_context():
            scores, targets = (dim_zero_cat(part).cpu() for part in (roc.preds, roc.target))
        _log_pr_curves(scores, targets, names, trainer)
        if not can_log_media(trainer):
            return
        if curves := compute_roc_curves(scores, targets, names):
            log_image(partial(draw_roc_curves, curves), "test/roc", trainer)
            curves = compute_pr_curves(scores, targets, names)
            log_image(partial(draw_pr_curves, curves), "test/precision_recall", trainer)

    def _get_objective(self, task: LightningModule) -> Objective | None:
        """Return the objective of a task, or None if it has none or its data are not supported."""
        objective = getattr(task, "objective", None)
        return objective if isinstance(objective, Objective) and self._class_names(objective.spec) else None

    def _class_names(self, spec: DataSpec) -> Sequence[str]:
        return spec.class_names if len(spec.class_names) <= self.max_classes else ()


def _log_pr_curves(scores: Tensor, targets: Tensor, names: Sequence[str], trainer: Trainer) -> None:
    """Write the precision-recall curve of each class; of two classes, only the second.

    Shapes:
        scores: (examples, classes)
        targets: (examples,)
    """
    for writer in get_writers(trainer):
        for index, name in enumerate(names):
            if index or len(names) > 2:
                writer.add_pr_curve(f"test/pr/{name}", targets == index, scores[:, index], trainer.global_step)


def compute_class_metrics(counts: Tensor) -> dict[str, Tensor]:
    """Return accuracy (recall), precision and F1 of each class (classes,) of a confusion matrix (true, predicted)."""
    correct = counts.diag().double()
    true = counts.sum(1)
    predicted = counts.sum(0)
    return {"accuracy": correct / true, "precision": correct / predicted, "f1": 2 * correct / (true + predicted)}
