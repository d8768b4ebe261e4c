"""Linear layers by oneDNN: the numbers of PyTorch's, but for rounding; PyTorch's own wherever that is asked for."""

import copy

import pytest
import torch
from torch import nn

from trainer.model.layers import onednn_linear
from trainer.model.layers.dense import dense
from trainer.model.layers.onednn_linear import FEWEST_PRODUCTS, Linear

WIDTH = 512
ROWS = FEWEST_PRODUCTS // WIDTH**2

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch has no products by oneDNN"
)


@pytest.fixture
def chosen(monkeypatch):
    """The products that were made by oneDNN, on any processor."""
    made, times = [], onednn_linear._times
    monkeypatch.setattr(onednn_linear, "is_faster", lambda: True)
    monkeypatch.setattr(onednn_linear, "_times", lambda *given: (made.append(given), times(*given))[1])
    return made


def both(bias=True):
    """Ours and PyTorch's, of the same weights."""
    ours, usual = Linear(WIDTH, WIDTH, bias=bias), nn.Linear(WIDTH, WIDTH, bias=bias)
    usual.load_state_dict(ours.state_dict())
    return ours, usual


def gradients(layer, inputs):
    inputs = inputs.clone().requires_grad_()
    outputs = layer(inputs)
    return outputs, *torch.autograd.grad(outputs.square().sum(), [inputs, *layer.parameters()])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(ROWS, WIDTH), (4, ROWS // 4, WIDTH), (2, 2, ROWS // 4, WIDTH)])
def test_outputs_and_gradients_are_those_of_pytorchs_layer(chosen, shape, bias):
    inputs = torch.randn(*shape)
    ours, usual = (gradients(layer, inputs) for layer in both(bias))
    assert len(chosen) == 3
    assert ours[0].shape == shape
    for one, other in zip(ours, usual, strict=True):
        assert one.is_contiguous()
        assert (one - other).abs().max() < 1e-5 * other.abs().max()


def test_a_gradient_can_be_differentiated_again(chosen):
    inputs = torch.randn(ROWS, WIDTH, requires_grad=True)

    def penalty(layer):  # of a Wasserstein GAN
        [slope] = torch.autograd.grad(layer(inputs).tanh().sum(), inputs, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), layer.weight)[0]

    one, other = map(penalty, both())
    assert chosen
    assert (one - other).abs().max() < 1e-5 * other.abs().max()


def test_only_what_needs_a_gradient_costs_a_product(chosen):
    layer, _ = both()
    layer.weight.requires_grad_(False)
    layer(torch.randn(ROWS, WIDTH)).sum().backward()  # of the bias alone
    assert len(chosen) == 1
    with torch.no_grad():
        layer(torch.randn(ROWS, WIDTH))
    assert len(chosen) == 2


@pytest.mark.parametrize(
    "way",
    ["small", "one_row", "half", "autocast", "compiled", "traced", "transformed", "slower"],
)
@pytest.mark.filterwarnings("ignore:.*jit.trace")
def test_anything_else_is_pytorchs_own(chosen, way, monkeypatch):
    layer, usual = both()
    inputs = torch.randn(ROWS, WIDTH)
    if way == "small":
        inputs = inputs[:-1]
    else:  # whatever a way makes of them, they are not too few
        monkeypatch.setattr(onednn_linear, "FEWEST_PRODUCTS", 1)
    if way == "slower":
        monkeypatch.setattr(onednn_linear, "is_faster", lambda: False)
    elif way == "one_row":
        inputs = inputs[0]
    elif way == "half":
        layer, usual, inputs = layer.bfloat16(), usual.bfloat16(), inputs.bfloat16()
    calls = {
        "autocast": lambda one: torch.autocast("cpu", torch.bfloat16)(one)(inputs),
        "compiled": lambda one: torch.compile(one, backend="eager", fullgraph=True)(inputs),
        "traced": lambda one: torch.jit.trace(one, inputs, check_trace=False)(inputs),
        "transformed": lambda one: torch.func.vmap(one)(inputs.view(2, -1, WIDTH)),
    }
    call = calls.get(way, lambda one: one(inputs))
    assert torch.equal(call(layer), call(usual))
    assert not chosen


def test_networks_are_made_of_them_and_exported_as_ever(chosen):
    net = dense([WIDTH, WIDTH, 10], "relu")
    inputs = torch.randn(ROWS, WIDTH)
    outputs = copy.deepcopy(net)(inputs)
    assert len(chosen) == 1  # the last layer is small
    whole = torch.export.export(net, (inputs,))
    assert "mkldnn" not in str(whole.graph)
    assert (whole.module()(inputs) - outputs).abs().max() < 1e-5
