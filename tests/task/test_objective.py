"""Losses and metrics of objectives against values computed by hand."""

import math

import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.task.objective import ClassificationObjective, RegressionObjective, make_objective

TWO = DataSpec("two", "vector", (2,), "classification", output_size=1, class_names=("no", "yes"))
THREE = DataSpec("three", "vector", (2,), "classification", output_size=3, class_names=("a", "b", "c"))
VALUES = DataSpec("values", "vector", (2,), "regression", output_size=1)
PAIRS = DataSpec("pairs", "vector", (2,), "regression", output_size=2)


def test_label_smoothing_of_a_custom_loss_is_rejected():
    with pytest.raises(UserError, match=r"^objective.label_smoothing: no effect on a distance; set it to 0$"):
        ClassificationObjective(TWO, label_smoothing=0.1, distance=lambda outputs, targets: outputs.mean())


def test_two_classes_have_binary_cross_entropy_on_one_logit():
    objective = make_objective(TWO)
    # log(1 + e^-2) = 0.1269280 and log(1 + e^-1) = 0.3132617
    loss = objective.loss(torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 0]))
    assert loss.item() == pytest.approx((0.1269280 + 0.3132617) / 2, abs=1e-6)
    assert loss.shape == ()


def test_the_second_class_is_predicted_above_a_logit_of_zero():
    predictions = make_objective(TWO).predictions(torch.tensor([[-0.1], [0.0], [0.1]]))
    assert predictions.tolist() == [0, 0, 1]
    assert predictions.dtype == torch.int64


def test_label_smoothing_of_two_classes_moves_the_target_towards_one_half():
    # target 1 becomes 0.95: 0.95 * 0.1269280 + 0.05 * 2.1269280
    loss = make_objective(TWO, label_smoothing=0.1).loss(torch.tensor([[2.0]]), torch.tensor([1]))
    assert loss.item() == pytest.approx(0.2269280, abs=1e-6)


def test_more_classes_have_cross_entropy():
    # softmax of (0, log 2, log 5) is (1/8, 2/8, 5/8)
    outputs = torch.tensor([[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]]).log()
    loss = make_objective(THREE).loss(outputs, torch.tensor([2, 0]))
    assert loss.item() == pytest.approx((0.4700036 + 2.0794415) / 2, abs=1e-6)  # -log(5/8), -log(1/8)


def test_label_smoothing_of_more_classes_spreads_over_all_of_them():
    # targets (0.1, 0.1, 0.8): 0.8 * 0.4700036 + 0.1 * (1.3862944 + 2.0794415)
    loss = make_objective(THREE, label_smoothing=0.3).loss(torch.tensor([[1.0, 2.0, 5.0]]).log(), torch.tensor([2]))
    assert loss.item() == pytest.approx(0.7225765, abs=1e-6)


def test_the_class_with_the_largest_output_is_predicted():
    assert make_objective(THREE).predictions(torch.tensor([[0.0, 3.0, 1.0], [-1.0, -2.0, -3.0]])).tolist() == [1, 0]


@pytest.mark.parametrize(("loss", "expected"), [("auto", 2.125), ("mse", 2.125), ("l1", 1.25), ("huber", 0.8125)])
def test_regression_losses_are_selected_by_name(loss, expected):
    # errors 0.5 and 2: mse (0.25 + 4) / 2, l1 (0.5 + 2) / 2, huber (0.125 + 1.5) / 2
    objective = make_objective(VALUES, loss=loss)
    assert objective.loss(torch.tensor([[0.0], [3.0]]), torch.tensor([[0.5], [1.0]])).item() == expected


def test_scores_are_probabilities_of_the_second_of_two_classes_or_of_each():
    # 1 / (1 + e^0) and 1 / (1 + e^-log 3); softmax of (0, log 2, log 5)
    logits = torch.tensor([[0.0], [math.log(3)]])
    assert make_objective(TWO).scores(logits).tolist() == pytest.approx([0.5, 0.75])
    scores = make_objective(THREE).scores(torch.tensor([[1.0, 2.0, 5.0]]).log())
    assert scores[0].tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])


def test_the_predictions_and_scores_of_values_are_the_outputs():
    objective = make_objective(PAIRS)
    outputs = torch.tensor([[1.0, 2.0]])
    assert torch.equal(objective.predictions(outputs), outputs)
    assert torch.equal(objective.scores(outputs), outputs)


@pytest.mark.parametrize("spec", [TWO, THREE])
def test_accuracy_is_the_fraction_over_all_batches(spec):
    metrics = make_objective(spec).metrics()
    metrics.update(torch.tensor([1, 1, 1]), torch.tensor([1, 1, 1]))
    metrics.update(torch.tensor([1]), torch.tensor([0]))
    assert {name: value.item() for name, value in metrics.compute().items()} == {"accuracy": 0.75}


def test_mae_rmse_and_r2_are_computed_over_all_batches():
    metrics = make_objective(VALUES).metrics()
    metrics.update(torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [4.0]]))
    metrics.update(torch.tensor([[5.0]]), torch.tensor([[4.0]]))
    # errors 0, 2, 1; the targets 1, 4, 4 have mean 3 and squared deviations 4 + 1 + 1
    values = {name: value.item() for name, value in metrics.compute().items()}
    assert values == pytest.approx({"mae": 1.0, "rmse": (5 / 3) ** 0.5, "r2": 1 - 5 / 6})


def test_mae_rmse_and_r2_support_several_values():
    metrics = make_objective(PAIRS).metrics()
    metrics.update(torch.tensor([[1.0, 0.0], [2.0, 2.0]]), torch.tensor([[1.0, 0.0], [4.0, 2.0]]))
    # errors 0, 0, 2, 0; r2 is the mean of 1 - 4 / 4.5 and 1
    values = {name: value.item() for name, value in metrics.compute().items()}
    assert values == pytest.approx({"mae": 0.5, "rmse": 1.0, "r2": (1 / 9 + 1) / 2})


def test_metrics_are_new_each_time():
    objective = make_objective(TWO)
    objective.metrics().update(torch.tensor([1]), torch.tensor([0]))
    fresh = objective.metrics()
    fresh.update(torch.tensor([1]), torch.tensor([1]))
    assert fresh.compute()["accuracy"].item() == 1


@pytest.mark.parametrize(
    ("spec", "loss", "kind"),
    [
        (TWO, "auto", ClassificationObjective),
        (TWO, "bce", ClassificationObjective),
        (THREE, "hinge", ClassificationObjective),
        (THREE, "cross_entropy", ClassificationObjective),
        (VALUES, "auto", RegressionObjective),
    ],
)
def test_the_data_determine_the_objective(spec, loss, kind):
    assert isinstance(make_objective(spec, loss=loss), kind)


@pytest.mark.parametrize(
    ("spec", "loss", "message"),
    [
        (TWO, "cross_entropy", "objective.loss: 'cross_entropy' does not fit data 'two'; use auto, bce, focal, hinge"),
        (THREE, "bce", "objective.loss: 'bce' does not fit data 'three'; use auto, cross_entropy, focal, hinge"),
        (THREE, "mse", "objective.loss: 'mse' does not fit data 'three'; use auto, cross_entropy, focal, hinge"),
        (VALUES, "bce", "objective.loss: 'bce' does not fit data 'values'; use auto, mse, l1, huber"),
    ],
)
def test_a_loss_that_does_not_fit_is_rejected(spec, loss, message):
    with pytest.raises(UserError) as error:
        make_objective(spec, loss=loss)
    assert str(error.value) == message


def test_label_smoothing_of_the_hinge_loss_is_rejected():
    with pytest.raises(
        UserError, match=r"^objective\.label_smoothing: the hinge loss does not support it; set it to 0$"
    ):
        make_objective(TWO, loss="hinge", label_smoothing=0.1)


def test_label_smoothing_of_values_is_rejected():
    with pytest.raises(UserError, match=r"^objective\.label_smoothing: data 'values' has values, not classes"):
        make_objective(VALUES, label_smoothing=0.1)
