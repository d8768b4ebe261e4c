"""Metrics by name against values computed by hand and by scikit-learn."""

import math

import numpy as np
import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.task.metrics import AUROC, R2, make_metrics, resolve_metric_names
from trainer.task.objective import make_objective

TWO = DataSpec("two", "vector", (2,), "classification", output_size=1, class_names=("no", "yes"))
THREE = DataSpec("three", "vector", (2,), "classification", output_size=3, class_names=("a", "b", "c"))
VALUES = DataSpec("values", "vector", (2,), "regression", output_size=1)
ALL = ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc", "auroc", "brier", "ece"]


def compute(spec, outputs, targets, batch=4):
    """Return all classification metrics, updated batch by batch."""
    objective = make_objective(spec, metrics=ALL)
    metrics = objective.metrics()
    for part, true in zip(outputs.split(batch), targets.split(batch), strict=True):
        metrics.update(preds=objective.predictions(part), scores=objective.scores(part), target=true)
    return {name: value.item() for name, value in metrics.compute().items()}


def compute_auroc(scores, target):
    metric = AUROC()
    metric.update(torch.tensor(scores), torch.tensor(target))
    return metric.compute().item()


def test_metrics_of_two_classes_are_those_of_the_second():
    # predicted 1 1 1 0 0 0: precision 2/3, recall 2/4
    outputs = torch.tensor([[3.0], [2.0], [1.0], [-1.0], [-2.0], [-3.0]])
    numbers = compute(TWO, outputs, torch.tensor([1, 0, 1, 1, 0, 1]))
    # pairs (1, 0): 3 > 2, 3 > -2, 1 > -2, -1 > -2 of 4 * 2
    expected = {"accuracy": 3 / 6, "precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7, "auroc": 4 / 8}
    # recalls 2/4 and 1/2; true positives 2, false positives 1, false negatives 2, true negatives 1
    expected |= {"balanced_accuracy": 1 / 2, "mcc": (2 * 1 - 1 * 2) / math.sqrt(3 * 4 * 2 * 3)}
    p = [1 / (1 + math.exp(-output)) for output in (3, 2, 1, -1, -2, -3)]
    expected["brier"] = sum((score - true) ** 2 for score, true in zip(p, (1, 0, 1, 1, 0, 1), strict=True)) / 6
    # each score has a bin of width 1/15 of its own, except 0.95 and 0.05, which are in the last and the first one
    expected["ece"] = sum(abs(score - true) for score, true in zip(p, (1, 0, 1, 1, 0, 1), strict=True)) / 6
    assert numbers == pytest.approx(expected)


def test_metrics_of_several_classes_are_the_mean_over_the_classes():
    # predicted 0 0 1 2, true 0 1 1 2: precision 1/2 1 1, recall 1 1/2 1, f1 2/3 2/3 1
    outputs = torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    numbers = compute(THREE, outputs, torch.tensor([0, 1, 1, 2]))
    # auroc: class 0 wins 2 of its 3 pairs and ties one; class 1 wins 2 of 4 and ties two; class 2 wins all
    expected = {"accuracy": 3 / 4, "precision": 5 / 6, "recall": 5 / 6, "f1": 7 / 9, "auroc": (5 / 6 + 3 / 4 + 1) / 3}
    expected["balanced_accuracy"] = 5 / 6
    # 3 of 4 correct; predicted 2 1 1, true 1 2 1 per class: (3 * 4 - 5) / sqrt((16 - 6) * (16 - 6))
    expected["mcc"] = 7 / 10
    p = math.exp(9) / (math.exp(9) + 2)
    rest = (1 - p) / 2
    right = (1 - p) ** 2 + 2 * rest**2
    expected["brier"] = (3 * right + p**2 + (1 - rest) ** 2 + rest**2) / 4
    expected["ece"] = p - 3 / 4  # all confidences are p
    assert numbers == pytest.approx(expected)


@pytest.mark.parametrize("spec", [TWO, THREE], ids=["two", "three"])
def test_classification_metrics_equal_those_of_scikit_learn(spec):
    sklearn = pytest.importorskip("sklearn.metrics")
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(200, spec.output_size, generator=random).round(decimals=1)  # creates ties
    targets = torch.randint(len(spec.class_names), (200,), generator=random)
    objective, average = make_objective(spec), "binary" if spec is TWO else "macro"
    predicted, scores = objective.predictions(outputs).numpy(), objective.scores(outputs).numpy()
    true = targets.numpy()
    expected = {
        "accuracy": sklearn.accuracy_score(true, predicted),
        "precision": sklearn.precision_score(true, predicted, average=average),
        "recall": sklearn.recall_score(true, predicted, average=average),
        "f1": sklearn.f1_score(true, predicted, average=average),
        "auroc": sklearn.roc_auc_score(true, scores.astype(np.float64), multi_class="ovr"),
        "balanced_accuracy": sklearn.balanced_accuracy_score(true, predicted),
        "mcc": sklearn.matthews_corrcoef(true, predicted),
        "brier": sklearn.brier_score_loss(true, scores),
    }
    actual = compute(spec, outputs, targets, batch=30)
    assert {name: actual[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_auroc_is_the_fraction_of_ordered_pairs_and_ties_count_half():
    assert compute_auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75  # all pairs but (0.35, 0.4)
    assert compute_auroc([0.5, 0.5], [0, 1]) == 0.5
    assert compute_auroc([0.1, 0.9], [0, 1]) == 1
    assert compute_auroc([0.9, 0.1], [0, 1]) == 0


def test_auroc_is_nan_if_all_examples_are_of_one_class():
    assert math.isnan(compute_auroc([0.1, 0.9], [1, 1]))


def test_auroc_ignores_classes_without_examples():
    assert compute_auroc([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]], [0, 1]) == 1


def r2(preds, target, batch=2, dtype=torch.float32):
    metric = R2(len(target[0])).set_dtype(dtype)
    pairs = zip(
        torch.tensor(preds, dtype=dtype).split(batch), torch.tensor(target, dtype=dtype).split(batch), strict=True
    )
    for part, true in pairs:
        metric.update(part, true)
    return metric.compute().item()


@pytest.mark.parametrize("unit", [1.0, 1e-4, 1e4])
@pytest.mark.parametrize("offset", [0.0, 2000.0])
def test_r2_does_not_depend_on_unit_and_offset_of_the_targets(unit, offset):
    target, errors = [1.0, 2.0, 3.0, 4.0, 5.0], [0.5, -0.5, 0.5, -0.5, 0.0]
    true = [[unit * (offset + value)] for value in target]
    predicted = [[unit * (offset + value + error)] for value, error in zip(target, errors, strict=True)]
    assert r2(predicted, true) == pytest.approx(1 - 1.0 / 10.0, abs=1e-3)


def test_r2_supports_float64():
    target = [[123456789.1], [123456789.2], [123456789.3]]
    predicted = [[value + 0.05] for [value] in target]
    assert r2(predicted, target, dtype=torch.float64) == pytest.approx(1 - 3 * 0.05**2 / 0.02, abs=1e-4)


def test_r2_of_several_values_is_the_mean():
    assert r2([[1.0, 0.0], [2.0, 0.0]], [[1.0, -1.0], [2.0, 1.0]]) == pytest.approx((1 + 0) / 2)


def test_r2_of_constant_targets_is_1_only_for_exact_predictions():
    assert r2([[0.1]] * 3, [[0.1]] * 3) == 1
    assert r2([[0.2]] * 3, [[0.1]] * 3) == 0
    assert math.isnan(r2([[0.2]], [[0.1]]))  # one example


def test_r2_is_computed_over_all_processes():
    parts = R2(1), R2(1)
    parts[0].update(torch.tensor([[1.5], [1.5]]), torch.tensor([[1.0], [2.0]]))
    parts[1].update(torch.tensor([[3.5], [3.5], [5.0]]), torch.tensor([[3.0], [4.0], [5.0]]))
    gathered = R2(1)
    for name in ("count", "mean", "deviations", "errors"):  # as after the synchronization by torchmetrics
        setattr(gathered, name, torch.stack([getattr(part, name) for part in parts]))
    gathered._update_count = 1  # prevents a warning of torchmetrics
    assert gathered.compute().item() == pytest.approx(1 - 1.0 / 10.0)


def test_auto_selects_metrics_that_fit_the_data():
    assert resolve_metric_names(THREE, "auto") == ["accuracy"]
    assert resolve_metric_names(VALUES, "auto") == ["mae", "rmse", "r2"]


def test_names_of_metrics_are_resolved_without_duplicates():
    assert resolve_metric_names(TWO, "auroc") == ["auroc"]
    assert resolve_metric_names(TWO, ["auto", "f1", "accuracy"]) == ["accuracy", "f1"]
    assert resolve_metric_names(TWO, []) == []
    assert list(make_metrics(VALUES, ["r2", "mae"])) == ["mae", "r2"]


@pytest.mark.parametrize(
    ("spec", "names", "message"),
    [
        (TWO, ["auc"], "objective.metrics: no metric 'auc'; did you mean 'auroc'?"),
        (VALUES, "mse", "objective.metrics: no metric 'mse'; did you mean 'rmse' or 'mae'?"),
        (VALUES, "pearson", "objective.metrics: no metric 'pearson'; there are: auto, mae, r2, rmse"),
        (VALUES, ["auroc"], "objective.metrics: 'auroc' does not fit data 'values'; use auto, mae, rmse, r2"),
        (
            TWO,
            ["rmse"],
            f"objective.metrics: 'rmse' does not fit data 'two'; use auto, {', '.join(ALL)}",
        ),
    ],
)
def test_unknown_metrics_and_metrics_that_do_not_fit_are_rejected(spec, names, message):
    with pytest.raises(UserError) as error:
        make_objective(spec, metrics=names)
    assert str(error.value) == message


def test_reset_discards_earlier_batches():
    metrics = make_metrics(TWO, "accuracy")
    correct, wrong = torch.tensor([0, 1]), torch.tensor([1, 0])
    metrics.update(preds=wrong, scores=wrong.float(), target=correct)
    metrics.reset()
    metrics.update(preds=correct, scores=correct.float(), target=correct)
    assert metrics.compute()["accuracy"] == 1
