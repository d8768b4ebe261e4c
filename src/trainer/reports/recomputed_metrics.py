"""Metrics that are computed again from the stored test predictions of runs."""

from collections.abc import Iterator, Sequence

import torch

from trainer.artifacts.run_record import RunRecord
from trainer.artifacts.stored_predictions import Predictions
from trainer.core.logged_metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from trainer.core.spec import DataSpec
from trainer.reports.bootstrap import reason_not_resampled
from trainer.task.metrics import make_metrics

VALUE_TOLERANCE = 1e-4  # of a metric that is computed again


def describe_predictions(predictions: Predictions) -> DataSpec:
    """Return a spec with the target and the outputs of some predictions."""
    is_class = not predictions.preds.is_floating_point()
    outputs = 1 if predictions.scores.dim() == 1 else predictions.scores.shape[1]
    return DataSpec("test", "vector", (1,), "classification" if is_class else "regression", outputs)


def compute_metric(spec: DataSpec, name: str, predictions: Predictions) -> float:
    """Return a metric of this package."""
    metrics = make_metrics(spec, name)
    metrics.set_dtype(torch.float64)
    metrics.update(**vars(predictions))
    return float(metrics.compute()[name])


def find_common_metrics(records: Sequence[RunRecord], predictions: Sequence[Predictions]) -> Iterator[str]:
    """Yield the metrics of this package that all runs have logged for the test and that can be resampled.

    Args:
        records: Runs.
        predictions: Their test predictions, with outputs of the same shape.
    """
    spec = describe_predictions(predictions[0])
    examples = sum(map(len, predictions))
    for name in CLASSIFICATION_METRICS if spec.target == "classification" else REGRESSION_METRICS:
        recorded = [record.metrics.get(f"test/{name}") for record in records]
        pairs = zip(recorded, predictions, strict=True)
        if not reason_not_resampled(name, examples) and all(_is_value_of(spec, name, *pair) for pair in pairs):
            yield name


def _is_value_of(spec: DataSpec, name: str, recorded: float | None, predictions: Predictions) -> bool:
    """Return whether a run has recorded this metric of its predictions, not another one with the same name."""
    tolerance = VALUE_TOLERANCE * max(1.0, abs(recorded or 0))
    return recorded is not None and abs(compute_metric(spec, name, predictions) - recorded) <= tolerance
