"""Metrics of resampled test examples (bootstrap), for intervals and for comparisons of two runs."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torchmetrics import Metric

from trainer.artifacts.stored_predictions import Predictions
from trainer.core.spec import DataSpec
from trainer.reports.statistics import CONFIDENCE, wilson_interval
from trainer.task.classification_metrics import compute_brier_scores
from trainer.task.metrics import make_metrics

MIN_RESAMPLES = 200
MAX_RESAMPLES = 1000
MAX_DRAWS = 20_000_000  # of all resamples together: about a second for means
MAX_CHUNK_DRAWS = 1_000_000  # drawn at a time: 8 MB
MAX_SLOW_EXAMPLES = 100_000  # for metrics that are called for each resample: seconds
MEAN_METRICS = ("accuracy", "brier", "mae", "rmse", "r2")  # functions of means over the examples
COUNT_METRICS = ("balanced_accuracy", "precision", "recall", "f1", "mcc")  # functions of the confusion matrix
BIASED_METRICS = ("ece",)
MAX_COUNTED_CLASSES = 50  # a confusion matrix of more classes takes too much memory
MAX_UNDEFINED_FRACTION = 0.1  # of resamples for which a metric is NaN


def count_resamples(examples: int) -> int:
    """Return the number of resamples: fewer for many examples, so that the time is limited."""
    return max(MIN_RESAMPLES, min(MAX_RESAMPLES, MAX_DRAWS // examples))


def reason_not_resampled(metric: str | Metric, examples: int) -> str | None:
    """Return the reason why a metric is not computed for resamples of so many examples, or None if it is."""
    if isinstance(metric, str) and metric in BIASED_METRICS:
        return "resamples have larger values than the examples themselves"
    is_fast = isinstance(metric, str) and metric in (*MEAN_METRICS, *COUNT_METRICS)
    return None if is_fast or examples <= MAX_SLOW_EXAMPLES else f"there are more than {MAX_SLOW_EXAMPLES:,} examples"


def draw_resamples(examples: int) -> Iterator[Tensor]:
    """Yield the rows of resamples (some, examples), drawn with replacement; the same for equal arguments."""
    random = torch.Generator().manual_seed(0)
    count = count_resamples(examples)
    size = max(1, MAX_CHUNK_DRAWS // examples)
    for start in range(0, count, size):
        yield torch.randint(examples, (min(size, count - start), examples), generator=random)


def resample_metric(spec: DataSpec, metric: str | Metric, predictions: Predictions) -> Tensor:
    """Return a metric of resamples of the examples (resamples,), with the same rows for all metrics and predictions.

    Args:
        spec: Specification of the data set.
        metric: Name of a metric, or a metric of torchmetrics.
        predictions: Predictions on the CPU.
    """
    resamples = draw_resamples(len(predictions))
    if isinstance(metric, str) and metric in MEAN_METRICS:
        statistics = _compute_statistics(metric, predictions)
        return _combine_means(metric, torch.cat([statistics[rows].mean(1) for rows in resamples]))
    if isinstance(metric, str) and metric in COUNT_METRICS and len(spec.class_names) <= MAX_COUNTED_CLASSES:
        cells = predictions.target * len(spec.class_names) + predictions.preds
        return torch.cat([compute_from_counts(metric, spec, _count_cells(spec, cells[rows])) for rows in resamples])
    metrics = make_metrics(spec, {"value": metric})
    values = []
    for rows in (rows for part in resamples for rows in part):
        metrics.update(**vars(predictions.select(rows)))
        values.append(torch.as_tensor(metrics.compute()["value"]).double().reshape(()))
        metrics.reset()
    return torch.stack(values)


def compute_interval(spec: DataSpec, metric: str | Metric, predictions: Predictions) -> tuple[float, float] | None:
    """Return the interval of a metric: of Wilson for the accuracy, else of a bootstrap; see `percentile_interval`."""
    if isinstance(metric, str) and metric == "accuracy":
        return wilson_interval(int((predictions.preds == predictions.target).sum()), len(predictions))
    return percentile_interval(resample_metric(spec, metric, predictions))


def percentile_interval(values: Tensor) -> tuple[float, float] | None:
    """Return the interval between two percentiles of resampled values; None if too many of them are NaN.

    Source:
        Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 13.
    """
    defined = values[values.isfinite()].double()
    if len(defined) < (1 - MAX_UNDEFINED_FRACTION) * len(values):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = defined.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


def compute_from_counts(name: str, spec: DataSpec, matrices: Tensor) -> Tensor:
    """Return a metric in `COUNT_METRICS` (resamples,) of confusion matrices (resamples, true classes, predictions)."""
    right = matrices.diagonal(dim1=1, dim2=2)  # (resamples, classes)
    true = matrices.sum(2)
    predicted = matrices.sum(1)
    if name == "balanced_accuracy":
        return (right / true).nanmean(1)
    if name == "mcc":
        count = true.sum(1)
        covariance = right.sum(1) * count - (true * predicted).sum(1)
        spread = (count**2 - predicted.square().sum(1)) * (count**2 - true.square().sum(1))
        return torch.where(spread > 0, covariance / spread.sqrt(), 0.0)
    numerator, denominator = {
        "precision": (right, predicted),
        "recall": (right, true),
        "f1": (2 * right, true + predicted),
    }[name]
    values = torch.where(denominator > 0, numerator / denominator, 0.0)
    if spec.output_size == 1:
        return values[:, 1]
    return torch.where(true + predicted > 0, values, torch.nan).nanmean(1)


def _count_cells(spec: DataSpec, cells: Tensor) -> Tensor:
    """Return the confusion matrices (resamples, classes, classes) of the cells of examples (resamples, examples)."""
    classes = len(spec.class_names)
    counts = torch.zeros(len(cells), classes**2, dtype=torch.float64)
    return counts.scatter_add_(1, cells, torch.ones_like(cells, dtype=torch.float64)).view(-1, classes, classes)


def _compute_statistics(name: str, predictions: Predictions) -> Tensor:
    """Return numbers of each example (examples, numbers) whose means determine a metric."""
    preds = predictions.preds.double()
    target = predictions.target.double()
    if name == "accuracy":
        return (preds == target).double()[:, None]
    if name == "brier":
        return compute_brier_scores(predictions.scores.double(), predictions.target)[:, None]
    if name == "mae":
        return (preds - target).abs().mean(1, keepdim=True)
    if name == "rmse":
        return (preds - target).square().mean(1, keepdim=True)
    centered = target - target.mean(0)
    return torch.cat([(preds - target).square(), centered, centered.square()], 1)


def _combine_means(name: str, means: Tensor) -> Tensor:
    """Return a metric (resamples,) from the means of its statistics (resamples, numbers)."""
    if name == "rmse":
        return means.sqrt().squeeze(1)
    if name == "r2":
        errors, mean, squares = means.chunk(3, 1)
        return (1 - errors / (squares - mean.square())).mean(1)
    return means.squeeze(1)
