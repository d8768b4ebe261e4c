"""Hinge loss and penalties against values computed by hand and by scikit-learn."""

import pytest
import torch
from torch import nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.task.losses import Penalty, hinge_loss
from trainer.task.objective import make_objective

TWO = DataSpec("two", "vector", (2,), "classification", output_size=1, class_names=("no", "yes"))


def test_the_hinge_loss_of_two_classes_is_the_distance_to_a_margin_of_one():
    # y f = 2, 0.5, -1, 0: losses 0, 0.5, 2, 1
    outputs = torch.tensor([[2.0], [-0.5], [-1.0], [0.0]])
    assert hinge_loss(outputs, torch.tensor([1, 0, 1, 0])).item() == 3.5 / 4


def test_the_hinge_loss_of_several_classes_depends_on_the_highest_wrong_score():
    # true 2: 5 - 1 beats 3 by enough; true 0: 1 + 4 - 3; true 1: 1 + 0 - 0
    outputs = torch.tensor([[1.0, 3.0, 5.0], [3.0, 4.0, -9.0], [0.0, 0.0, 0.0]])
    assert hinge_loss(outputs, torch.tensor([2, 0, 1])).item() == (0 + 2 + 1) / 3


@pytest.mark.parametrize("classes", [2, 4])
def test_the_hinge_loss_equals_that_of_scikit_learn(classes):
    sklearn = pytest.importorskip("sklearn.metrics")
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(50, 1 if classes == 2 else classes, generator=random).double() * 2
    targets = torch.randint(classes, (50,), generator=random)
    expected = sklearn.hinge_loss(targets.numpy(), outputs.squeeze(1).numpy(), labels=list(range(classes)))
    assert hinge_loss(outputs, targets).item() == pytest.approx(expected)


def test_the_hinge_loss_is_selected_by_name():
    objective = make_objective(TWO, loss="hinge")
    outputs = torch.tensor([[0.5], [-3.0]])
    assert objective.loss(outputs, torch.tensor([1, 0])).item() == 0.25
    assert objective.predictions(outputs).tolist() == [1, 0]


def make_net():
    """Return a network with weights 1, -2 and 3, and 10 for all other parameters."""
    layers = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1), nn.Linear(1, 1))
    for parameter in layers.parameters():
        nn.init.constant_(parameter, 10.0)
    layers[0].weight.data = torch.tensor([[1.0, -2.0]])
    layers[2].weight.data = torch.tensor([[3.0]])
    return layers


@pytest.mark.parametrize(("penalty", "expected"), [((0.5, 0), 3.0), ((0, 0.5), 7.0), ((1, 2), 6 + 28), ((0, 0), 0)])
def test_the_penalty_excludes_biases_and_scales(penalty, expected):
    with torch.no_grad():
        assert float(Penalty(*penalty)(make_net())) == expected  # |w| sum to 6, squares to 14


def test_an_l2_penalty_equals_weight_decay_of_twice_its_size():
    first, second = make_net(), make_net()
    for network, decay in ((first, 0.2), (second, 0.0)):
        weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
        optimizer = torch.optim.SGD(weights, lr=0.1, weight_decay=decay)
        (network(torch.ones(4, 2)).sum() + (0 if decay else Penalty(l2=0.1)(network))).backward()
        optimizer.step()
    assert torch.allclose(first[0].weight, second[0].weight)
    assert torch.allclose(first[2].weight, second[2].weight)


def test_a_negative_penalty_is_rejected():
    with pytest.raises(UserError, match=r"^objective\.penalty: l1 and l2 must be at least 0$"):
        Penalty(l1=-1)
