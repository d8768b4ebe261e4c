"""Class weights and focal loss against PyTorch, torchvision and formulas."""

import numpy as np
import pytest
import torch
from torch.nn import CrossEntropyLoss

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.task.objective import ClassificationObjective, make_objective

TWO = DataSpec("two", "vector", (2,), "classification", output_size=1, class_names=("no", "yes"))
THREE = DataSpec("three", "vector", (2,), "classification", output_size=3, class_names=("a", "b", "c"))
VALUES = DataSpec("values", "vector", (2,), "regression", output_size=1)
RANDOM = torch.Generator().manual_seed(0)
TARGETS = torch.randint(3, (40,), generator=RANDOM)
LOGITS = 3 * torch.randn(40, 3, generator=RANDOM)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weighted_losses_are_those_of_pytorch(smoothing):
    weights = torch.tensor([0.5, 1.0, 4.0])
    objective = make_objective(THREE, class_weights=weights.tolist(), label_smoothing=smoothing)
    expected = CrossEntropyLoss(weight=weights, label_smoothing=smoothing)(LOGITS, TARGETS)
    assert objective.loss(LOGITS, TARGETS).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_logit_has_the_weighted_loss_of_two_classes(smoothing):
    weights = torch.tensor([1.0, 9.0])
    logits = LOGITS[:, :1]
    targets = TARGETS.clamp(max=1)
    objective = make_objective(TWO, class_weights={"yes": 9}, label_smoothing=smoothing)  # 1 for "no"
    both = torch.cat([torch.zeros_like(logits), logits], 1)
    expected = CrossEntropyLoss(weight=weights, label_smoothing=smoothing)(both, targets)
    assert objective.loss(logits, targets).item() == pytest.approx(expected.item(), rel=1e-6)


def test_balanced_weights_follow_the_formula_of_scikit_learn():
    # n_samples / (n_classes * np.bincount(y)), as its documentation states
    expected = 20 / (3 * np.bincount(np.repeat([0, 1, 2], [7, 1, 12])))
    objective = make_objective(THREE, class_weights="balanced")
    assert objective.requires_class_counts
    objective.balance_classes(torch.tensor([7, 1, 12]))
    assert not objective.requires_class_counts
    assert objective.class_weighting.values == pytest.approx(expected)


def test_equal_weights_change_nothing():
    equal = make_objective(THREE, class_weights=[2, 2, 2]).loss(LOGITS, TARGETS)
    assert equal.item() == pytest.approx(make_objective(THREE).loss(LOGITS, TARGETS).item(), rel=1e-6)


def test_balanced_weights_are_restored_instead_of_those_of_other_data():
    trained = make_objective(TWO, class_weights="balanced")
    trained.balance_classes(torch.tensor([1, 3]))
    restored = make_objective(TWO, class_weights="balanced")
    restored.restore(trained.state())
    assert restored.class_weighting.values == (2.0, pytest.approx(2 / 3))
    assert not restored.requires_class_counts


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_losses_of_several_classes_follow_the_formula(gamma):
    p = LOGITS.double().softmax(1).gather(1, TARGETS[:, None]).squeeze(1)
    expected = (-((1 - p) ** gamma) * p.log()).mean()
    loss = make_objective(THREE, loss="focal", focal_gamma=gamma).loss(LOGITS, TARGETS)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_focal_losses_of_two_classes_are_those_of_torchvision():
    ops = pytest.importorskip("torchvision.ops")
    logits = LOGITS[:, :1]
    targets = TARGETS.clamp(max=1)
    expected = ops.sigmoid_focal_loss(logits.squeeze(1), targets.float(), alpha=-1, gamma=2, reduction="mean")
    assert make_objective(TWO, loss="focal").loss(logits, targets).item() == pytest.approx(expected.item(), rel=1e-5)
    # alpha is the weight of the second class, and 1 - alpha that of the first; torchvision divides by the examples
    weighted = ops.sigmoid_focal_loss(logits.squeeze(1), targets.float(), alpha=0.25, gamma=2, reduction="sum")
    total = torch.where(targets == 1, 0.25, 0.75).sum()
    objective = make_objective(TWO, loss="focal", class_weights=[0.75, 0.25])
    assert objective.loss(logits, targets).item() == pytest.approx((weighted / total).item(), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_losses_of_certain_examples_have_finite_gradients(gamma):
    outputs = torch.tensor([[100.0, 0.0, 0.0], [0.0, 100.0, 0.0]], requires_grad=True)
    make_objective(THREE, loss="focal", focal_gamma=gamma).loss(outputs, torch.tensor([0, 2])).backward()
    assert outputs.grad.isfinite().all()
    assert outputs.grad[1, 2] < 0


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (VALUES, {"class_weights": "balanced"}, "class_weights: data 'values' has values, not classes; expected null"),
        (THREE, {"class_weights": [1, 2]}, "class_weights: found 2 weights; expected one for each of the 3 classes"),
        (THREE, {"class_weights": {"d": 2}}, "class_weights: no class 'd'"),
        (THREE, {"class_weights": [1, 2, 0]}, "class_weights: 0 is invalid; expected numbers greater than 0"),
        (THREE, {"class_weights": "equal"}, "class_weights: 'equal' is invalid; expected balanced, a list, or"),
        (THREE, {"class_weights": [1, 1, 2], "loss": "hinge"}, "class_weights: no effect on a distance; set it to"),
        (THREE, {"focal_gamma": 2.0}, "focal_gamma: no effect without objective.loss=focal; set it to null"),
        (THREE, {"focal_gamma": -1.0, "loss": "focal"}, "focal_gamma: -1.0 is invalid; expected at least 0"),
        (THREE, {"label_smoothing": 0.1, "loss": "focal"}, "label_smoothing: the focal loss does not support it"),
        (VALUES, {"loss": "focal"}, "loss: 'focal' does not fit data 'values'; use auto, mse, l1, huber"),
    ],
)
def test_invalid_options_are_rejected(spec, options, message):
    with pytest.raises(UserError, match=f"^objective.{message}"):
        make_objective(spec, **options)


def test_balanced_weights_need_an_example_of_each_class():
    objective = ClassificationObjective(THREE, class_weights="balanced")
    with pytest.raises(UserError, match="balanced: class 'b' has no training example; expected a weight of each class"):
        objective.balance_classes(torch.tensor([3, 0, 2]))
    with pytest.raises(UserError, match="data 'three' do not state how many examples a class has; expected a weight"):
        objective.balance_classes(None)
