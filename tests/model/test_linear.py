"""Linear network against values computed by hand."""

import pytest
import torch

from trainer.core.errors import MismatchError
from trainer.core.spec import DataSpec
from trainer.model.linear import Linear

PAIRS = DataSpec("pairs", "vector", (2,), "regression", output_size=2)


def make_net(**settings):
    net = Linear(PAIRS, **settings)
    with torch.no_grad():
        net.layer.weight.copy_(torch.tensor([[1.0, 2.0], [-3.0, 0.5]]))
        if net.layer.bias is not None:
            net.layer.bias.copy_(torch.tensor([10.0, 0.0]))
    return net


def test_each_output_is_a_weighted_sum_plus_bias():
    # 1 * 3 + 2 * 4 + 10 and -3 * 3 + 0.5 * 4
    assert make_net()(torch.tensor([[3.0, 4.0]])).tolist() == [[21.0, -7.0]]


def test_the_bias_is_optional():
    assert make_net(bias=False)(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[11.0, -7.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("kind", "shape", "parameters"), [("vector", (5,), 18), ("image", (3, 4, 5), 183), ("sequence", (7, 2), 45)]
)
def test_the_size_depends_on_the_data(kind, shape, parameters):
    net = Linear(DataSpec("some", kind, shape, "regression", output_size=3))
    assert net(torch.randn(6, *shape)).shape == (6, 3)
    assert sum(p.numel() for p in net.parameters()) == parameters  # 3 * inputs + 3


def test_gradients_are_those_of_the_sum():
    net = make_net()
    net(torch.tensor([[3.0, 4.0]])).sum().backward()
    assert net.layer.weight.grad.tolist() == [[3.0, 4.0], [3.0, 4.0]]
    assert net.layer.bias.grad.tolist() == [1.0, 1.0]


def test_tokens_are_rejected():
    with pytest.raises(MismatchError, match=r"^model 'linear' needs vectors .* or images .* or sequences .*'text' has"):
        Linear(DataSpec("text", "tokens", (9,), "classification", 2, vocabulary_size=50))
