"""Metrics by name. The parameters of `update` of a metric select its arguments: `preds`, `scores`, `target`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryCalibrationError,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassF1Score,
    MulticlassMatthewsCorrCoef,
    MulticlassPrecision,
    MulticlassRecall,
)
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from trainer.core.errors import UserError, did_you_mean
from trainer.core.logged_metrics import CALIBRATION_BINS, CLASSIFICATION_METRICS, REGRESSION_METRICS
from trainer.core.spec import DataSpec
from trainer.task.classification_metrics import AUROC, BalancedAccuracy, BrierScore
from trainer.task.custom_metrics import CustomMetric

MetricSelection = str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric]
MetricFactory = Callable[[], Metric]
RegressionSums = tuple[Tensor, Tensor, Tensor, Tensor]

PROBABILITY_METRICS = ("brier", "ece")


class R2(Metric):
    """Coefficient of determination, averaged over the outputs.

    Deviations are summed about a running mean, so that targets far from 0 lose no digits (torchmetrics subtracts two
    large sums, and misses small deviations). If all targets are equal, it is 1 for predictions without error and
    else 0, as in scikit-learn.

    Args:
        outputs: Number of values per example.

    Source:
        Chan, Golub, LeVeque 1983, Algorithms for computing the sample variance.
    """

    count: Tensor
    mean: Tensor
    deviations: Tensor
    errors: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        for name in ("count", "mean", "deviations", "errors"):
            self.add_state(name, torch.zeros(outputs), dist_reduce_fx=None)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add predictions and targets (batch, outputs)."""
        mean = target.mean(0)
        count = torch.full_like(mean, len(target))
        sums = (count, mean, (target - mean).square().sum(0), (target - preds).square().sum(0))
        self.count, self.mean, self.deviations, self.errors = _merge_sums(self._sums(), sums)

    def compute(self) -> Tensor:
        sums = self._sums()
        if self.count.dim() == 2:  # one row per process
            sums = reduce(_merge_sums, zip(*sums, strict=True))
        count, mean, deviations, errors = sums
        rounding = count * (torch.finfo(mean.dtype).eps * mean).square()
        explained = torch.where(deviations > rounding, 1 - errors / deviations, (errors <= rounding).to(errors))
        return torch.where(count < 2, torch.nan, explained).mean()

    def _sums(self) -> RegressionSums:
        return self.count, self.mean, self.deviations, self.errors


def _merge_sums(first: RegressionSums, second: RegressionSums) -> RegressionSums:
    """Return count, mean, squared deviations and squared errors of the union of two sets of examples."""
    count = first[0] + second[0]
    difference = second[1] - first[1]
    fraction = second[0] / count.clamp(min=1)
    deviations = first[2] + second[2] + difference.square() * first[0] * fraction
    return count, first[1] + difference * fraction, deviations, first[3] + second[3]


def select_metrics(
    spec: DataSpec, metrics: MetricSelection, *, has_probabilities: bool = True
) -> dict[str, str | Metric]:
    """Return the selected metrics by the name that they are logged under.

    Args:
        spec: Specification of the data set.
        metrics: Name, metric, list of both, or mapping from the name to be logged to a name or a metric. A metric
            without a name is logged under the name of its class.
        has_probabilities: Whether scores are probabilities.

    Raises:
        UserError: An entry is neither a name nor a metric, does not fit the data or the loss, or has the name of
            another one.
    """
    if isinstance(metrics, Mapping | MetricCollection):
        pairs = [(str(name), _resolve_metric(spec, str(name), metric)) for name, metric in metrics.items()]
    else:
        entries = metrics if isinstance(metrics, Sequence) and not isinstance(metrics, str) else [metrics]
        pairs = [pair for entry in entries for pair in _name_metrics(spec, entry)]
    for _, metric in pairs:
        if not has_probabilities and isinstance(metric, str) and metric in PROBABILITY_METRICS:
            raise UserError(f"objective.metrics: '{metric}' needs probabilities, which the hinge loss does not train")
    _validate_names(Counter(name for name, _ in dict.fromkeys(pairs)))  # a repeated name counts once
    return dict(pairs)


def _validate_names(counts: Counter[str]) -> None:
    for name, count in counts.items():
        if count > 1:
            hint = "give each a name: objective.metrics={first: {_target_: ...}, second: {_target_: ...}}"
            raise UserError(f"objective.metrics: two metrics are called '{name}'\n  {hint}")
        if not name or {"/", "."} & {*name} or name == "loss" or hasattr(MetricCollection, name):
            expected = "expected a name without '/' and '.' that is neither 'loss' nor a method of PyTorch's modules"
            raise UserError(f"objective.metrics: invalid name '{name}'; {expected}")


def _name_metrics(spec: DataSpec, metric: str | Metric) -> list[tuple[str, str | Metric]]:
    if isinstance(metric, str):
        return [(name, name) for name in resolve_metric_names(spec, metric)]
    if isinstance(metric, MetricCollection):
        return [*select_metrics(spec, metric).items()]
    return [(type(metric).__name__, _require_metric(metric))]


def _resolve_metric(spec: DataSpec, name: str, metric: str | Metric) -> str | Metric:
    if not isinstance(metric, str):
        return _require_metric(metric)
    names = resolve_metric_names(spec, metric)
    if len(names) > 1:
        raise UserError(f"objective.metrics.{name}: '{metric}' stands for several metrics; use one of them")
    return names[0]


def _require_metric(metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    expected = "expected a name, or a mapping with the _target_ of a torchmetrics.Metric"
    raise UserError(f"objective.metrics: {metric!r} is not a metric; {expected}")


def resolve_metric_names(spec: DataSpec, names: str | Sequence[str]) -> list[str]:
    """Return distinct names of metrics, with `"auto"` replaced by accuracy, or by mae, rmse and r2.

    Raises:
        UserError: A name is unknown or does not fit the data.
    """
    is_class = spec.target == "classification"
    choices = CLASSIFICATION_METRICS if is_class else REGRESSION_METRICS
    default = ["accuracy"] if is_class else [*REGRESSION_METRICS]
    resolved: dict[str, None] = {}  # an ordered set
    for name in [names] if isinstance(names, str) else names:
        if name in (*CLASSIFICATION_METRICS, *REGRESSION_METRICS) and name not in choices:
            options = ", ".join(choices)
            raise UserError(f"objective.metrics: '{name}' does not fit data '{spec.name}'; use auto, {options}")
        if name not in ("auto", *choices):
            raise UserError(f"objective.metrics: no metric '{name}'{did_you_mean(name, ['auto', *choices])}")
        resolved |= dict.fromkeys(default if name == "auto" else (name,))
    return list(resolved)


def make_metrics(spec: DataSpec, names: MetricSelection) -> MetricCollection:
    """Return new metrics, which are updated with preds, scores and target by keyword.

    For two classes with one logit, precision, recall, f1 and ece are those of the second class. Otherwise they are the
    unweighted mean over the classes (macro), and ece is that of the predicted class.

    Raises:
        UserError: See `select_metrics`.
    """
    count = spec.output_size  # the loss has checked all targets, so metrics need not validate them
    classes = max(count, 2)
    multiclass: dict[str, MetricFactory] = {
        "accuracy": lambda: MulticlassAccuracy(count, average="micro", validate_args=False),
        "precision": lambda: MulticlassPrecision(count, average="macro", validate_args=False),
        "recall": lambda: MulticlassRecall(count, average="macro", validate_args=False),
        "f1": lambda: MulticlassF1Score(count, average="macro", validate_args=False),
        "ece": lambda: CustomMetric(MulticlassCalibrationError(count, CALIBRATION_BINS, validate_args=False)),
    }
    binary: dict[str, MetricFactory] = {
        "accuracy": lambda: BinaryAccuracy(validate_args=False),
        "precision": lambda: BinaryPrecision(validate_args=False),
        "recall": lambda: BinaryRecall(validate_args=False),
        "f1": lambda: BinaryF1Score(validate_args=False),
        "ece": lambda: CustomMetric(BinaryCalibrationError(CALIBRATION_BINS, validate_args=False)),
    }
    factories: dict[str, MetricFactory] = {
        "mae": MeanAbsoluteError,
        "rmse": lambda: MeanSquaredError(squared=False),
        "r2": lambda: R2(count),
        "auroc": AUROC,
        "balanced_accuracy": lambda: BalancedAccuracy(classes, validate_args=False),
        "brier": BrierScore,
        "mcc": lambda: MulticlassMatthewsCorrCoef(classes, validate_args=False),
        **(binary if count == 1 else multiclass),
    }
    selected = select_metrics(spec, names).items()
    return MetricCollection(
        {name: factories[metric]() if isinstance(metric, str) else CustomMetric(metric) for name, metric in selected}
    )


def validate_training_examples(examples: int) -> int:
    """Return the largest number of training examples with metrics; raise a `UserError` if it is negative."""
    if examples < 0:
        raise UserError(f"objective.training_examples: {examples} is negative; expected 0 (none) or more")
    return examples
