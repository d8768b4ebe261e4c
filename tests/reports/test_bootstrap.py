"""Resampled metrics against those that torchmetrics computes for the same rows, and coverage of their intervals."""

import math
from itertools import chain

import pytest
import torch

from trainer.artifacts.stored_predictions import Predictions
from trainer.core.logged_metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from trainer.core.spec import DataSpec
from trainer.reports import bootstrap
from trainer.reports.bootstrap import (
    count_resamples,
    draw_resamples,
    percentile_interval,
    reason_not_resampled,
    resample_metric,
)
from trainer.reports.statistics import compute_mcnemar_p, wilson_interval
from trainer.task.metrics import make_metrics
from trainer.task.objective import make_objective

TWO = DataSpec("two", "vector", (2,), "classification", output_size=1, class_names=("no", "yes"))
THREE = DataSpec("three", "vector", (2,), "classification", output_size=3, class_names=("a", "b", "c"))
PAIRS = DataSpec("pairs", "vector", (2,), "regression", output_size=2)


def predict(spec, count, seed=0):
    """Return predictions of random outputs that know something about the targets."""
    random = torch.Generator().manual_seed(seed)
    if spec.target == "regression":
        target = 100 + torch.randn(count, spec.output_size, generator=random)
        outputs = target + torch.randn(count, spec.output_size, generator=random)
        return Predictions(outputs, outputs, target)
    target = torch.randint(len(spec.class_names), (count,), generator=random)
    signal = (2.0 * target - 1)[:, None] if spec is TWO else torch.nn.functional.one_hot(target, 3)
    outputs = signal + torch.randn(count, spec.output_size, generator=random)
    objective = make_objective(spec)
    return Predictions(objective.predictions(outputs), objective.scores(outputs), target)


CASES = [*((spec, name) for spec in (TWO, THREE) for name in CLASSIFICATION_METRICS)]
CASES += [(PAIRS, name) for name in REGRESSION_METRICS]


@pytest.mark.parametrize(("spec", "name"), CASES, ids=[f"{spec.name} {name}" for spec, name in CASES])
def test_resampled_metrics_are_those_of_the_rows(spec, name, monkeypatch):
    monkeypatch.setattr(bootstrap, "MAX_RESAMPLES", 5)
    monkeypatch.setattr(bootstrap, "MIN_RESAMPLES", 5)
    predictions = predict(spec, 40)
    metrics = make_metrics(spec, name)
    expected = []
    for rows in chain.from_iterable(draw_resamples(40)):
        metrics.update(**vars(predictions.select(rows)))
        expected.append(metrics.compute()[name].item())
        metrics.reset()
    assert resample_metric(spec, name, predictions).tolist() == pytest.approx(expected, rel=1e-4)


def test_classes_without_examples_or_predictions_are_treated_as_by_torchmetrics():
    preds = torch.tensor([0, 0, 1, 1])
    target = torch.tensor([0, 0, 0, 0])
    predictions = Predictions(preds, torch.nn.functional.one_hot(preds, 3).float(), target)
    matrix = torch.zeros(1, 3, 3, dtype=torch.float64)
    matrix[0, 0, :2] = 2
    for name in bootstrap.COUNT_METRICS:
        metrics = make_metrics(THREE, name)
        metrics.update(**vars(predictions))
        value = bootstrap.compute_from_counts(name, THREE, matrix).item()
        assert value == pytest.approx(metrics.compute()[name].item()), name


def test_the_number_of_resamples_is_bounded():
    assert [count_resamples(count) for count in (2, 10_000, 50_000, 10**7)] == [1000, 1000, 400, 200]
    parts = [*draw_resamples(30_000)]
    assert sum(map(len, parts)) == count_resamples(30_000)
    assert max(part.numel() for part in parts) <= bootstrap.MAX_CHUNK_DRAWS
    assert torch.equal(next(draw_resamples(50)), next(draw_resamples(50)))


def test_intervals_need_a_value_of_most_resamples():
    values = torch.arange(1000.0)
    assert percentile_interval(values) == pytest.approx((24.975, 974.025))
    values[:50] = math.nan
    assert percentile_interval(values) is not None
    values[:500] = math.nan
    assert percentile_interval(values) is None


def test_wilson_intervals_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for successes, count in ((0, 10), (3, 7), (50, 50), (812, 1000)):
        expected = stats.binomtest(successes, count).proportion_ci(0.95, method="wilson")
        assert wilson_interval(successes, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_calibration_error_is_not_resampled_as_its_resamples_are_larger(monkeypatch):
    monkeypatch.setattr(bootstrap, "MAX_RESAMPLES", 20)
    monkeypatch.setattr(bootstrap, "MIN_RESAMPLES", 20)
    predictions = predict(TWO, 200)
    metrics = make_metrics(TWO, "ece")
    metrics.update(**vars(predictions))
    assert resample_metric(TWO, "ece", predictions).mean() > 1.05 * metrics.compute()["ece"]
    assert reason_not_resampled("ece", 200) == "resamples have larger values than the examples themselves"
    assert reason_not_resampled("auroc", 200) is None


def test_mcnemar_is_a_binomial_test():
    stats = pytest.importorskip("scipy.stats")
    for pair in ((0, 0), (0, 1), (3, 10), (10, 3), (40, 41), (5, 5)):
        expected = stats.binomtest(pair[0], sum(pair)).pvalue if sum(pair) else 1
        assert compute_mcnemar_p(*pair) == pytest.approx(expected), pair


def test_95_of_100_intervals_contain_the_accuracy():
    # of 1,000 samples, 950 +- 4 standard deviations of 6.9; Wilson's coverage at these sizes is 94 to 96 %
    random = torch.Generator().manual_seed(0)
    for probability, count in ((0.9, 100), (0.7, 50), (0.97, 400)):
        successes = torch.rand(1000, count, generator=random).lt(probability).sum(1).tolist()
        intervals = [wilson_interval(number, count) for number in successes]
        covered = sum(low <= probability <= high for low, high in intervals)
        assert 922 <= covered <= 978, (probability, count)


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
def test_intervals_of_a_bootstrap_contain_the_true_value(name, monkeypatch):
    # errors and targets with variance 1: mae sqrt(2 / pi), rmse 1, r2 0.5 (targets have variance 1 + 1)
    monkeypatch.setattr(bootstrap, "MAX_RESAMPLES", 200)
    true = {"mae": math.sqrt(2 / math.pi), "rmse": 1.0, "r2": 0.5}[name]
    spec = DataSpec("values", "vector", (1,), "regression", output_size=1)
    random = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(200):
        preds = torch.randn(100, 1, generator=random)
        target = preds + torch.randn(100, 1, generator=random)
        low, high = percentile_interval(resample_metric(spec, name, Predictions(preds, preds, target)))
        covered += low <= true <= high
    # a percentile interval of 100 examples covers about 94 %: 188 +- 4 standard deviations of 3.4
    assert 174 <= covered < 200
