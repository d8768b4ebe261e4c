"""Tests of the network that averages others."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from trainer.core.spec import DataSpec
from trainer.model.ensemble import Ensemble, average_probabilities
from trainer.model.mlp import MLP

THREE_CLASSES = DataSpec("three", "vector", (2,), "classification", 3)
VALUES = DataSpec("values", "vector", (2,), "regression", 1)


class Constant(nn.Module):
    """Network with the same outputs for all inputs."""

    def __init__(self, *outputs: float) -> None:
        super().__init__()
        self.outputs = nn.Parameter(torch.tensor(outputs))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.outputs.expand(len(inputs), -1)


def test_the_probabilities_of_classes_are_means():
    members = {
        "first": Constant(math.log(0.5), math.log(0.3), math.log(0.2)),
        "second": Constant(math.log(0.1), 0.0, math.log(0.9)),
    }
    outputs = Ensemble(THREE_CLASSES, members=members, averaged="probabilities")(torch.zeros(4, 2))
    # the second member has 0.1 / 2, 1 / 2 and 0.9 / 2
    expected = torch.tensor([[(0.5 + 0.05) / 2, (0.3 + 0.5) / 2, (0.2 + 0.45) / 2]])
    torch.testing.assert_close(outputs.softmax(1), expected.expand(4, -1))


def test_the_probability_of_the_second_of_two_classes_is_a_mean():
    logits = torch.tensor([[[0.0]], [[math.log(3)]]])  # 0.5 and 0.75
    torch.testing.assert_close(average_probabilities(logits).sigmoid(), torch.tensor([[0.625]]))


def test_extreme_probabilities_are_not_rounded():
    two_classes = average_probabilities(torch.tensor([[[-200.0]], [[-200.0]]]))
    torch.testing.assert_close(two_classes, torch.tensor([[-200.0]]))
    classes = average_probabilities(torch.tensor([[[200.0, 0, -200]], [[200.0, 0, -200]]])).log_softmax(1)
    torch.testing.assert_close(classes, torch.tensor([[0.0, -200, -400]]))


def test_values_are_means():
    members = {name: Constant(value) for name, value in (("a", 1.0), ("b", 2.0), ("c", 6.0))}
    net = Ensemble(VALUES, members=members, averaged="outputs")
    assert net(torch.zeros(2, 2)).tolist() == [[3.0], [3.0]]


def test_a_temperature_divides_the_logits_and_is_in_the_state():
    net = Ensemble(THREE_CLASSES, members={"a": Constant(1.0, 2.0, 3.0)}, averaged="probabilities")
    before = net(torch.zeros(1, 2)).softmax(1)
    state = net.state_dict()
    state["temperature"] = torch.tensor(2.0)
    net.load_state_dict(state)
    torch.testing.assert_close(net(torch.zeros(1, 2)).softmax(1), before.sqrt() / before.sqrt().sum())


@pytest.mark.parametrize("spec", [THREE_CLASSES, VALUES])
def test_factories_receive_the_spec(spec):
    members = {"small": partial(MLP, hidden=[3]), "large": partial(MLP, hidden=[5])}
    net = Ensemble(spec, members=members, averaged="outputs")
    assert net(torch.zeros(7, 2)).shape == (7, spec.output_size)


def test_probabilities_of_16_bits_are_averaged_in_32():
    logits = torch.tensor([[[9.0, 0, 0]], [[8.0, 0, 1]]], dtype=torch.bfloat16)
    assert average_probabilities(logits).dtype == torch.float32
    torch.testing.assert_close(average_probabilities(logits).softmax(1), logits.float().softmax(2).mean(0))
