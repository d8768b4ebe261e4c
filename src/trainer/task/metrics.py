"""Metrics by name. A metric says by the parameters of its `update` what it looks at: `preds`, `scores`, `target`."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError
from torchmetrics.utilities import dim_zero_cat

from trainer.core.errors import UserError, did_you_mean
from trainer.core.spec import DataSpec
from trainer.task.custom_metrics import CustomMetric

Names = str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric]
Make = Callable[[], Metric]
Sums = tuple[Tensor, Tensor, Tensor, Tensor]

OF_CLASSES = ("accuracy", "precision", "recall", "f1", "auroc")
OF_VALUES = ("mae", "rmse", "r2")


class AUROC(Metric):
    """Area under the ROC curve: how often an example of a class scores above one of another; ties count half.

    For several classes the mean over each class against the rest, of those that the examples tell apart; NaN where
    there are none (torchmetrics' own takes such a class for 0).

    Source:
        Hanley and McNeil 1982; Mann and Whitney 1947 for the pairs by which it is counted.
    """

    higher_is_better = True
    scores: list[Tensor]
    target: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("target", [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, target: Tensor) -> None:
        """Note scores (batch,) of the second of two classes, or (batch, classes), and classes (batch,)."""
        self.scores.append(scores)
        self.target.append(target)

    def compute(self) -> Tensor:
        scores, target = dim_zero_cat(self.scores), dim_zero_cat(self.target)
        if scores.dim() == 1:
            return _area(scores, target == 1)
        return torch.stack([_area(column, target == place) for place, column in enumerate(scores.T)]).nanmean()


def _area(scores: Tensor, positive: Tensor) -> Tensor:
    """How many pairs the positive examples win; NaN, as 0 / 0, where only one kind is there."""
    above, below = scores[positive], scores[~positive].sort().values
    won = torch.searchsorted(below, above) + torch.searchsorted(below, above, right=True)  # twice: ties count half
    return won.sum().double() / 2 / (len(above) * len(below))


class R2(Metric):
    """Coefficient of determination: the mean of each output's own.

    Deviations are summed about a running mean, so that targets far from 0 lose no digits (torchmetrics' own takes the
    difference of two large sums, and small deviations for none). If all targets are equal, it is 1 for predictions
    without error and else 0, as in scikit-learn.

    Args:
        outputs: Values of each example.

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
        added = (count, mean, (target - mean).square().sum(0), (target - preds).square().sum(0))
        self.count, self.mean, self.deviations, self.errors = _together(self._sums(), added)

    def compute(self) -> Tensor:
        sums = self._sums()
        if self.count.dim() == 2:  # one row a process
            sums = reduce(_together, zip(*sums, strict=True))
        count, mean, deviations, errors = sums
        rounding = count * (torch.finfo(mean.dtype).eps * mean).square()
        explained = torch.where(deviations > rounding, 1 - errors / deviations, (errors <= rounding).to(errors))
        return torch.where(count < 2, torch.nan, explained).mean()

    def _sums(self) -> Sums:
        return self.count, self.mean, self.deviations, self.errors


def _together(one: Sums, other: Sums) -> Sums:
    """Return count, mean, squared deviations and squared errors of two sets of examples."""
    count = one[0] + other[0]
    apart = other[1] - one[1]
    share = other[0] / count.clamp(min=1)
    deviations = one[2] + other[2] + apart.square() * one[0] * share
    return count, one[1] + apart * share, deviations, one[3] + other[3]


def selected(spec: DataSpec, metrics: Names) -> dict[str, str | Metric]:
    """Return the selected metrics by the name that they are logged under.

    Args:
        spec: Of the data.
        metrics: Names, metrics, a list of both, or a mapping from the name to be logged to a name or a metric. A metric
            without a name is logged under the name of its class.

    Raises:
        UserError: One is neither a name nor a metric, a name does not fit the data, or two metrics have the same name.
    """
    if isinstance(metrics, Mapping | MetricCollection):
        pairs = [(str(name), _one(spec, str(name), metric)) for name, metric in metrics.items()]
    else:
        pairs = [pair for each in _listed(metrics) for pair in _named(spec, each)]
    kinds = Counter(name for name, metric in dict.fromkeys(pairs))  # a name that is given twice counts once
    for name, count in kinds.items():
        if count > 1:
            offer = "give each a name: objective.metrics={first: {_target_: ...}, second: {_target_: ...}}"
            raise UserError(f"objective.metrics: two metrics are called '{name}'\n  {offer}")
        if not name or {"/", "."} & {*name} or name == "loss" or hasattr(MetricCollection, name):
            told = "expected a name without '/' and '.' that is neither 'loss' nor a method of PyTorch's modules"
            raise UserError(f"objective.metrics: invalid name '{name}'; {told}")
    return dict(pairs)


def _listed(metrics: str | Metric | Sequence[str | Metric]) -> Iterable[str | Metric]:
    return metrics if isinstance(metrics, Sequence) and not isinstance(metrics, str) else [metrics]


def _named(spec: DataSpec, metric: str | Metric) -> list[tuple[str, str | Metric]]:
    if isinstance(metric, str):
        return [(name, name) for name in asked_for(spec, metric)]
    if isinstance(metric, MetricCollection):
        return [*selected(spec, metric).items()]
    return [(type(metric).__name__, _metric(metric))]


def _one(spec: DataSpec, name: str, metric: str | Metric) -> str | Metric:
    if not isinstance(metric, str):
        return _metric(metric)
    [found, *more] = asked_for(spec, metric)
    if more:
        raise UserError(f"objective.metrics.{name}: '{metric}' stands for several metrics; use one of them")
    return found


def _metric(metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    offer = "expected a name, or a mapping with the _target_ of a torchmetrics.Metric"
    raise UserError(f"objective.metrics: {metric!r} is no metric; {offer}")


def asked_for(spec: DataSpec, names: str | Sequence[str]) -> list[str]:
    """The metrics that are meant: a name, several, or `"auto"`, which is accuracy, or mae, rmse and r2.

    Raises:
        UserError: There is no metric of that name, or it does not fit the data; says which do.
    """
    fitting, usual = (OF_VALUES, OF_VALUES) if spec.target == "values" else (OF_CLASSES, ("accuracy",))
    asked: dict[str, None] = {}  # in order, each once
    for name in [names] if isinstance(names, str) else names:
        if name in (*OF_CLASSES, *OF_VALUES) and name not in fitting:
            raise UserError(
                f"objective.metrics: '{name}' does not fit data '{spec.name}'; use auto, {', '.join(fitting)}"
            )
        if name not in ("auto", *fitting):
            raise UserError(f"objective.metrics: no metric '{name}'{did_you_mean(name, ['auto', *fitting])}")
        asked |= dict.fromkeys(usual if name == "auto" else (name,))
    return list(asked)


def metrics_for(spec: DataSpec, names: Names) -> MetricCollection:
    """New metrics; `update` takes preds, scores and target by keyword, and each metric gets what it takes.

    On two classes told by one logit, precision, recall and f1 are those of the second; otherwise the mean over
    the classes (macro), in which each class counts alike.

    Raises:
        UserError: See `selected`.
    """
    count = spec.output_size  # nothing is validated: the loss has looked at all targets already
    of_several: dict[str, Make] = {
        "accuracy": lambda: MulticlassAccuracy(count, average="micro", validate_args=False),
        "precision": lambda: MulticlassPrecision(count, average="macro", validate_args=False),
        "recall": lambda: MulticlassRecall(count, average="macro", validate_args=False),
        "f1": lambda: MulticlassF1Score(count, average="macro", validate_args=False),
    }
    of_two: dict[str, Make] = {
        "accuracy": lambda: BinaryAccuracy(validate_args=False),
        "precision": lambda: BinaryPrecision(validate_args=False),
        "recall": lambda: BinaryRecall(validate_args=False),
        "f1": lambda: BinaryF1Score(validate_args=False),
    }
    make: dict[str, Make] = {
        "mae": MeanAbsoluteError,
        "rmse": lambda: MeanSquaredError(squared=False),
        "r2": lambda: R2(count),
        "auroc": AUROC,
        **(of_two if count == 1 else of_several),
    }
    chosen = selected(spec, names)
    return MetricCollection(
        {name: make[each]() if isinstance(each, str) else CustomMetric(each) for name, each in chosen.items()}
    )
