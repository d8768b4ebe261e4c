"""Metrics: chosen by name, against numbers worked out by hand and, where it is installed, by scikit-learn."""

import math

import numpy as np
import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.task.metrics import AUROC, R2, asked_for, metrics_for
from trainer.task.objective import objective_for

TWO = DataSpec("two", "vector", (2,), "classes", output_size=1, class_names=("no", "yes"))
THREE = DataSpec("three", "vector", (2,), "classes", output_size=3, class_names=("a", "b", "c"))
VALUES = DataSpec("values", "vector", (2,), "values", output_size=1)
ALL = ["accuracy", "precision", "recall", "f1", "auroc"]


def judged(spec, outputs, targets, batch=4):
    """All metrics of classes, as the task takes them, batch by batch."""
    objective = objective_for(spec, metrics=ALL)
    metrics = objective.metrics()
    for some, true in zip(outputs.split(batch), targets.split(batch), strict=True):
        metrics.update(preds=objective.predictions(some), scores=objective.scores(some), target=true)
    return {name: value.item() for name, value in metrics.compute().items()}


def area(scores, target):
    metric = AUROC()
    metric.update(torch.tensor(scores), torch.tensor(target))
    return metric.compute().item()


def test_two_classes_are_judged_by_the_second_one():
    # predicted 1 1 1 0 0 0: two of three right where 1 is said, two of four 1s found
    outputs = torch.tensor([[3.0], [2.0], [1.0], [-1.0], [-2.0], [-3.0]])
    numbers = judged(TWO, outputs, torch.tensor([1, 0, 1, 1, 0, 1]))
    # pairs (1, 0): 3 > 2, 3 > -2, 1 > -2, -1 > -2 of 4 * 2
    expected = {"accuracy": 3 / 6, "precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7, "auroc": 4 / 8}
    assert numbers == pytest.approx(expected)


def test_several_classes_are_judged_by_the_mean_over_the_classes():
    # said 0 0 1 2, true 0 1 1 2: precision 1/2 1 1, recall 1 1/2 1, f1 2/3 2/3 1
    outputs = torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    numbers = judged(THREE, outputs, torch.tensor([0, 1, 1, 2]))
    # auroc: class 0 wins 2 of its 3 pairs and ties one; class 1 wins 2 of 4 and ties two; class 2 wins all
    expected = {"accuracy": 3 / 4, "precision": 5 / 6, "recall": 5 / 6, "f1": 7 / 9, "auroc": (5 / 6 + 3 / 4 + 1) / 3}
    assert numbers == pytest.approx(expected)


@pytest.mark.parametrize("spec", [TWO, THREE], ids=["two", "three"])
def test_metrics_of_classes_are_those_of_scikit_learn(spec):
    sklearn = pytest.importorskip("sklearn.metrics")
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(200, spec.output_size, generator=random).round(decimals=1)  # so that there are ties
    targets = torch.randint(len(spec.class_names), (200,), generator=random)
    objective, average = objective_for(spec), "binary" if spec is TWO else "macro"
    said, scores = objective.predictions(outputs).numpy(), objective.scores(outputs).numpy()
    true = targets.numpy()
    expected = {
        "accuracy": sklearn.accuracy_score(true, said),
        "precision": sklearn.precision_score(true, said, average=average),
        "recall": sklearn.recall_score(true, said, average=average),
        "f1": sklearn.f1_score(true, said, average=average),
        "auroc": sklearn.roc_auc_score(true, scores.astype(np.float64), multi_class="ovr"),
    }
    assert judged(spec, outputs, targets, batch=30) == pytest.approx(expected, abs=1e-6)


def test_the_area_counts_pairs_in_the_right_order_and_ties_by_half():
    assert area([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75  # all pairs but (0.35, 0.4)
    assert area([0.5, 0.5], [0, 1]) == 0.5
    assert area([0.1, 0.9], [0, 1]) == 1
    assert area([0.9, 0.1], [0, 1]) == 0


def test_the_area_is_not_a_number_where_one_class_alone_was_seen():
    assert math.isnan(area([0.1, 0.9], [1, 1]))


def test_a_class_that_was_not_seen_has_no_part_in_the_mean_area():
    assert area([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]], [0, 1]) == 1


def r2(preds, target, batch=2, dtype=torch.float32):
    metric = R2(len(target[0])).set_dtype(dtype)
    pairs = zip(
        torch.tensor(preds, dtype=dtype).split(batch), torch.tensor(target, dtype=dtype).split(batch), strict=True
    )
    for some, true in pairs:
        metric.update(some, true)
    return metric.compute().item()


@pytest.mark.parametrize("unit", [1.0, 1e-4, 1e4])
@pytest.mark.parametrize("offset", [0.0, 2000.0])
def test_the_variance_explained_depends_neither_on_the_unit_of_the_targets_nor_on_their_distance_from_0(unit, offset):
    target, errors = [1.0, 2.0, 3.0, 4.0, 5.0], [0.5, -0.5, 0.5, -0.5, 0.0]
    true = [[unit * (offset + value)] for value in target]
    said = [[unit * (offset + value + error)] for value, error in zip(target, errors, strict=True)]
    assert r2(said, true) == pytest.approx(1 - 1.0 / 10.0, abs=1e-3)


def test_targets_far_from_0_are_judged_in_float64():
    target = [[123456789.1], [123456789.2], [123456789.3]]
    said = [[value + 0.05] for [value] in target]
    assert r2(said, target, dtype=torch.float64) == pytest.approx(1 - 3 * 0.05**2 / 0.02, abs=1e-4)


def test_the_variance_explained_of_several_values_is_the_mean_of_each():
    assert r2([[1.0, 0.0], [2.0, 0.0]], [[1.0, -1.0], [2.0, 1.0]]) == pytest.approx((1 + 0) / 2)


def test_of_a_constant_target_everything_is_explained_by_exact_predictions_alone():
    assert r2([[0.1]] * 3, [[0.1]] * 3) == 1
    assert r2([[0.2]] * 3, [[0.1]] * 3) == 0
    assert math.isnan(r2([[0.2]], [[0.1]]))  # of one example


def test_the_variance_explained_is_that_of_the_examples_of_all_processes():
    parts = R2(1), R2(1)
    parts[0].update(torch.tensor([[1.5], [1.5]]), torch.tensor([[1.0], [2.0]]))
    parts[1].update(torch.tensor([[3.5], [3.5], [5.0]]), torch.tensor([[3.0], [4.0], [5.0]]))
    whole = R2(1)
    for name in ("count", "mean", "deviations", "errors"):  # as torchmetrics leaves them when processes exchange them
        setattr(whole, name, torch.stack([getattr(part, name) for part in parts]))
    whole._update_count = 1  # else torchmetrics warns
    assert whole.compute().item() == pytest.approx(1 - 1.0 / 10.0)


def test_the_usual_metrics_are_those_that_fit():
    assert asked_for(THREE, "auto") == ["accuracy"]
    assert asked_for(VALUES, "auto") == ["mae", "rmse", "r2"]


def test_a_metric_is_asked_for_by_name_alone_or_with_others_and_counts_once():
    assert asked_for(TWO, "auroc") == ["auroc"]
    assert asked_for(TWO, ["auto", "f1", "accuracy"]) == ["accuracy", "f1"]
    assert asked_for(TWO, []) == []
    assert list(metrics_for(VALUES, ["r2", "mae"])) == ["mae", "r2"]


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
            "objective.metrics: 'rmse' does not fit data 'two'; use auto, accuracy, precision, recall, f1, auroc",
        ),
    ],
)
def test_a_metric_that_does_not_exist_or_fit_is_refused_before_anything_is_trained(spec, names, message):
    with pytest.raises(UserError) as refusal:
        objective_for(spec, metrics=names)
    assert str(refusal.value) == message


def test_what_was_noted_before_a_reset_does_not_count():
    metrics = metrics_for(TWO, "accuracy")
    right, wrong = torch.tensor([0, 1]), torch.tensor([1, 0])
    metrics.update(preds=wrong, scores=wrong.float(), target=right)
    metrics.reset()
    metrics.update(preds=right, scores=right.float(), target=right)
    assert metrics.compute()["accuracy"] == 1
