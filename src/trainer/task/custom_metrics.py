"""Metrics that the config names by `_target_`: any class of torchmetrics, or a subclass of its `Metric`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from trainer.core.errors import UserError, first_line
from trainer.core.spec import DataSpec


class CustomMetric(Metric):
    """A metric from the config, called with the arguments that its `update` accepts.

    Metrics of `torchmetrics.classification` receive the scores as `preds`, because some of them reject class indices:
    one column per class if they have `num_classes`, else the scores of the second of two classes.

    Args:
        metric: Any metric of torchmetrics, or a subclass.
    """

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self.metric = metric.clone()
        classification = [part for part in self.metric.modules() if _is_classification_metric(part)]
        self._takes_scores = bool(classification)
        self._takes_columns = any(hasattr(part, "num_classes") for part in classification)
        self.num_classes = next(filter(None, (getattr(part, "num_classes", None) for part in classification)), None)

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        return self.metric.higher_is_better

    def update(self, preds: Tensor, scores: Tensor, target: Tensor) -> None:
        """Update the metric with a batch."""
        inputs = self._select_scores(scores) if self._takes_scores else preds
        arguments = {"preds": inputs, "scores": scores, "target": target, "targets": target}
        parameters = self.metric._update_signature.parameters
        has_kwargs = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        names = {"preds", "target"} if has_kwargs else {*parameters}  # a wrapper passes them to its inner metric
        self.metric.update(**{name: value for name, value in arguments.items() if name in names})

    def compute(self) -> Any:
        return self.metric.compute()

    def reset(self) -> None:
        super().reset()
        self.metric.reset()

    def _select_scores(self, scores: Tensor) -> Tensor:
        if self._takes_columns:
            return torch.stack([1 - scores, scores], 1) if scores.dim() == 1 else scores
        if scores.dim() == 1:
            return scores
        if scores.shape[1] != 2:
            raise ValueError(f"the metric is for two classes, the data have {scores.shape[1]}")
        return scores[:, 1]


def _is_classification_metric(part: object) -> bool:
    update = getattr(type(part), "update", None)
    return isinstance(part, Metric) and str(update.__module__).startswith("torchmetrics.classification")


def validate_custom_metrics(spec: DataSpec, metrics: MetricCollection, scores: Callable[[Tensor], Tensor]) -> None:
    """Update and compute new metrics with synthetic examples.

    Args:
        spec: Specification of the data set.
        metrics: New metrics, which are not used afterwards.
        scores: Function from outputs to scores, see `Objective.scores`.

    Raises:
        UserError: A metric does not fit the data, or does not return a single number.
    """
    classes = max(2, spec.output_size)
    examples = 2 * classes if spec.target == "classification" else 8
    random = torch.Generator().manual_seed(0)
    outputs = torch.rand(examples, spec.output_size, generator=random) + 0.1  # some metrics reject negative values
    target = torch.arange(examples) % classes if spec.target == "classification" else outputs.roll(1, 0)
    preds = target.roll(1) if spec.target == "classification" else outputs
    for name, metric in metrics.items(copy_state=False):
        if not isinstance(metric, CustomMetric):  # built-in metrics always fit
            continue
        key = f"objective.metrics: {type(metric.metric).__name__} ('{name}')"
        if metric.num_classes not in (None, classes):
            raise UserError(f"{key} has num_classes={metric.num_classes}; expected {classes} for data '{spec.name}'")
        try:
            metric.update(preds, scores(outputs), target)
            value = metric.compute()
        except Exception as error:  # user code may raise anything
            raise UserError(f"{key} does not fit data '{spec.name}': {first_line(error)}") from error
        if not isinstance(value, int | float) and not (isinstance(value, Tensor) and value.numel() == 1):
            raise UserError(f"{key} does not return a single number; a callback can log other values")
