"""Metrics that the config names by `_target_`: any class of torchmetrics, or a subclass of its `Metric`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from trainer.core.errors import UserError, first_line
from trainer.core.spec import DataSpec


class CustomMetric(Metric):
    """A metric from the config, called with the arguments that its `update` takes.

    The metrics of `torchmetrics.classification` get the scores as `preds`, because some of them refuse classes: one
    column per class if they have `num_classes`, else the scores of the second of two classes.

    Args:
        metric: Any metric of torchmetrics, or a subclass.
    """

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self.metric = metric.clone()
        of_classes = [part for part in self.metric.modules() if _is_of_classes(part)]
        self._takes_scores = bool(of_classes)
        self._takes_columns = any(hasattr(part, "num_classes") for part in of_classes)
        self.num_classes = next(filter(None, (getattr(part, "num_classes", None) for part in of_classes)), None)

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        return self.metric.higher_is_better

    def update(self, preds: Tensor, scores: Tensor, target: Tensor) -> None:
        """Update the metric with a batch."""
        looked_at = self._scores(scores) if self._takes_scores else preds
        offered = {"preds": looked_at, "scores": scores, "target": target, "targets": target}
        parameters = self.metric._update_signature.parameters
        passes_on = any(each.kind is each.VAR_KEYWORD for each in parameters.values())  # to a metric within it
        taken = {"preds", "target"} if passes_on else {*parameters}
        self.metric.update(**{name: value for name, value in offered.items() if name in taken})

    def compute(self) -> Any:
        return self.metric.compute()

    def reset(self) -> None:
        super().reset()
        self.metric.reset()

    def _scores(self, scores: Tensor) -> Tensor:
        if self._takes_columns:
            return torch.stack([1 - scores, scores], 1) if scores.dim() == 1 else scores
        if scores.dim() == 1:
            return scores
        if scores.shape[1] != 2:
            raise ValueError(f"it is for two classes, not for {scores.shape[1]}")
        return scores[:, 1]


def _is_of_classes(part: object) -> bool:
    update = getattr(type(part), "update", None)
    return isinstance(part, Metric) and str(update.__module__).startswith("torchmetrics.classification")


def try_custom_metrics(spec: DataSpec, metrics: MetricCollection, scores: Callable[[Tensor], Tensor]) -> None:
    """Update and compute new metrics with made-up examples.

    Args:
        spec: Of the data.
        metrics: Not used for anything else.
        scores: From outputs to scores, as `Objective.scores`.

    Raises:
        UserError: A metric does not fit the data, or does not give a single number.
    """
    classes = max(2, spec.output_size)
    examples = 2 * classes if spec.target == "classes" else 8
    random = torch.Generator().manual_seed(0)
    outputs = torch.rand(examples, spec.output_size, generator=random) + 0.1  # some metrics refuse negative values
    target = torch.arange(examples) % classes if spec.target == "classes" else outputs.roll(1, 0)
    preds = target.roll(1) if spec.target == "classes" else outputs
    for name, metric in metrics.items(copy_state=False):
        if not isinstance(metric, CustomMetric):  # our own are known to fit
            continue
        blamed = f"objective.metrics: {type(metric.metric).__name__} ('{name}')"
        told = metric.num_classes
        if told not in (None, classes):
            raise UserError(f"{blamed} has num_classes={told}; expected {classes} for data '{spec.name}'")
        try:
            metric.update(preds, scores(outputs), target)
            value = metric.compute()
        except Exception as error:  # of any kind, as anybody may have written the metric
            raise UserError(f"{blamed} does not fit data '{spec.name}': {first_line(error)}") from error
        if not isinstance(value, int | float) and not (isinstance(value, Tensor) and value.numel() == 1):
            raise UserError(f"{blamed} does not give a single number; a callback can log what it gives")
