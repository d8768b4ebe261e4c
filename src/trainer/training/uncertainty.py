"""95 % intervals of the test metrics of a run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torchmetrics import Metric

from trainer.artifacts.run_directory import RunDirectory
from trainer.artifacts.stored_predictions import Predictions, write_predictions
from trainer.core.errors import first_line
from trainer.core.metric_name import list_metrics
from trainer.reports.bootstrap import (
    compute_interval,
    count_resamples,
    draw_resamples,
    percentile_interval,
    reason_not_resampled,
)
from trainer.task.metrics import select_metrics
from trainer.task.objective import ClassificationObjective, Objective
from trainer.training.collected_outputs import CollectedOutputs

LOSS_TOLERANCE = 1e-4  # relative difference of a loss and the mean of the losses of single examples

Interval = dict[str, Any]


class NoIntervalError(Exception):
    """The reason why a metric has no interval."""


def record_test(outputs: CollectedOutputs, metrics: Mapping[str, float], directory: RunDirectory) -> dict[str, Any]:
    """Store the predictions of a test in the run directory; return the entry `intervals` of `result.json`.

    Args:
        outputs: Collected outputs of the test.
        metrics: Metrics of the run by name.
        directory: Run directory.

    Returns:
        dict: For each test metric `low` and `high`, `method`, `examples`, and `resamples` of a bootstrap; or `reason`
        if it has no interval. Empty without test metrics.
    """
    names = list_metrics(metrics, "test")
    if not outputs.is_complete or outputs.objective is None:
        reason = outputs.problem or "the test has no examples"
        return {"intervals": {name: {"reason": reason} for name in names}} if names else {}
    objective = outputs.objective
    logits, targets = outputs.collect()
    predictions = Predictions(objective.predictions(logits), objective.scores(logits), targets)
    write_predictions(directory.path, predictions, outputs.checksum)
    selection = _select(objective)
    intervals: dict[str, Interval] = {}
    for name in names:
        metric = name.removeprefix("test/")
        try:
            if len(targets) < 2:
                raise NoIntervalError("there is one example")
            if metric == "loss":
                bounds = percentile_interval(_resample_loss(objective, logits, targets))
                intervals[name] = _make_entry(bounds, "bootstrap", len(targets))
            elif metric in selection:
                intervals[name] = _compute_interval(objective, selection[metric], predictions)
            else:
                raise NoIntervalError("it is not a metric of the objective")
        except NoIntervalError as error:
            intervals[name] = {"reason": str(error)}
    return {"intervals": intervals}


def _select(objective: Objective) -> Mapping[str, str | Metric]:
    """Return the metrics of an objective by logged name: built-in ones by their names."""
    if type(objective).metrics is Objective.metrics:
        return select_metrics(objective.spec, objective.metric_selection)
    return dict(objective.metrics().items())


def _compute_interval(objective: Objective, metric: str | Metric, predictions: Predictions) -> Interval:
    count = len(predictions)
    if reason := reason_not_resampled(metric, count):
        raise NoIntervalError(reason)
    try:
        bounds = compute_interval(objective.spec, metric, predictions)
    except Exception as error:  # a metric of the user may raise anything for repeated examples
        raise NoIntervalError(first_line(error)) from error
    is_accuracy = isinstance(metric, str) and metric == "accuracy"
    return _make_entry(bounds, "Wilson" if is_accuracy else "bootstrap", count)


def _make_entry(bounds: tuple[float, float] | None, method: str, examples: int) -> Interval:
    if bounds is None:
        raise NoIntervalError("it is not defined for many resamples of the examples")
    resamples = {"resamples": count_resamples(examples)} if method == "bootstrap" else {}
    return {"low": bounds[0], "high": bounds[1], "method": method, **resamples, "examples": examples}


def _resample_loss(objective: Objective, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of resamples of the examples (resamples,)."""
    try:
        if isinstance(objective, ClassificationObjective) and objective.distance is None:
            losses, weights = objective.weighted_losses(outputs, targets)
        else:
            losses = vmap(objective.loss)(outputs[:, None], targets[:, None])
            weights = torch.ones_like(losses)
        expected = objective.loss(outputs, targets)
    except Exception as error:  # a loss of the user may raise anything for single examples
        raise NoIntervalError(first_line(error)) from error
    losses, weights = losses.double(), weights.double()
    if not torch.isclose(losses.sum() / weights.sum(), expected.double(), rtol=LOSS_TOLERANCE):
        raise NoIntervalError("it is not a mean over the examples")
    return torch.cat([losses[rows].sum(1) / weights[rows].sum(1) for rows in draw_resamples(len(targets))])
