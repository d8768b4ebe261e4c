"""Statistical tests of two runs on the same test examples."""

from dataclasses import dataclass

import torch

from trainer.artifacts.run_record import RunRecord
from trainer.artifacts.test_predictions import Predictions, read_predictions
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.report.bootstrap import percentile_interval, reason_not_resampled, resample_metric
from trainer.report.statistics import compute_mcnemar_p
from trainer.task.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, make_metrics

VALUE_TOLERANCE = 1e-4  # of a metric that is computed again from the stored predictions


@dataclass(frozen=True)
class PairedTest:
    """Comparison of two runs by a metric of the same test examples.

    Args:
        metric: Name of the metric.
        difference: Metric of the second run minus that of the first.
        low, high: 95 % interval of the difference, from a bootstrap of the examples.
        p: Two-sided p value for equal metrics; not corrected for several metrics.
        method: Test of the p value.
    """

    metric: str
    difference: float
    low: float
    high: float
    p: float
    method: str


def compare_tests(first: RunRecord, second: RunRecord) -> list[PairedTest]:
    """Compare two runs by each metric of this package that both have logged for the test.

    Raises:
        UserError: A run has stored no predictions, or the test examples or the outputs differ.
    """
    stored = [read_predictions(record.path) for record in (first, second)]
    for record, content in zip((first, second), stored, strict=True):
        if content is None:
            raise UserError(f"'{record.path}' has stored no test predictions")
    (before, first_checksum), (after, second_checksum) = (content for content in stored if content)
    if first_checksum != second_checksum or not torch.equal(before.target, after.target):
        raise UserError("the runs were tested on different examples")
    if before.scores.shape != after.scores.shape:
        raise UserError("the networks of the runs have different numbers of outputs")
    spec = _describe(before)
    names = CLASSIFICATION_METRICS if spec.target == "classification" else REGRESSION_METRICS
    tests = []
    for name in names:
        recorded = [record.metrics.get(f"test/{name}") for record in (first, second)]
        pairs = zip(recorded, (before, after), strict=True)
        if reason_not_resampled(name, len(before)) is None and all(_is_value_of(spec, name, *pair) for pair in pairs):
            tests += _compare(spec, name, before, after)
    return tests


def _compare(spec: DataSpec, name: str, before: Predictions, after: Predictions) -> list[PairedTest]:
    """Return the comparison by a metric; empty if it is not defined for many resamples."""
    differences = resample_metric(spec, name, after) - resample_metric(spec, name, before)
    interval = percentile_interval(differences)
    if interval is None:
        return []
    if name == "accuracy":
        is_right = [predictions.preds == predictions.target for predictions in (before, after)]
        p = compute_mcnemar_p(int((is_right[0] & ~is_right[1]).sum()), int((is_right[1] & ~is_right[0]).sum()))
        method = "McNemar, exact"
    else:
        tail = 1 + min(int((differences <= 0).sum()), int((differences >= 0).sum()))
        p = min(1.0, 2 * tail / (len(differences) + 1))
        method = f"paired bootstrap, {len(differences)} resamples"
    difference = _compute(spec, name, after) - _compute(spec, name, before)
    return [PairedTest(f"test/{name}", difference, *interval, p, method)]


def _is_value_of(spec: DataSpec, name: str, recorded: float | None, predictions: Predictions) -> bool:
    """Return whether a run has recorded this metric of its predictions, not another one with the same name."""
    tolerance = VALUE_TOLERANCE * max(1.0, abs(recorded or 0))
    return recorded is not None and abs(_compute(spec, name, predictions) - recorded) <= tolerance


def _compute(spec: DataSpec, name: str, predictions: Predictions) -> float:
    metrics = make_metrics(spec, name)
    metrics.set_dtype(torch.float64)
    metrics.update(**vars(predictions))
    return float(metrics.compute()[name])


def _describe(predictions: Predictions) -> DataSpec:
    """Return a spec with the target and the outputs of some predictions."""
    is_class = not predictions.preds.is_floating_point()
    outputs = 1 if predictions.scores.dim() == 1 else predictions.scores.shape[1]
    return DataSpec("test", "vector", (1,), "classification" if is_class else "regression", outputs)
