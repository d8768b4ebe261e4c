"""Linear layers with oneDNN compared with PyTorch's."""

import copy

import pytest
import torch
from torch import nn

from trainer.model.layers import onednn_linear
from trainer.model.layers.dense import make_dense
from trainer.model.layers.onednn_linear import MIN_PRODUCTS, Linear

WIDTH = 512
ROWS = MIN_PRODUCTS // WIDTH**2

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch has no oneDNN products"
)


@pytest.fixture
def onednn_calls(monkeypatch):
    """Arguments of the products computed by oneDNN, which is enabled on any processor."""
    calls, product = [], onednn_linear._onednn_linear
    monkeypatch.setattr(onednn_linear, "is_onednn_faster", lambda: True)
    monkeypatch.setattr(onednn_linear, "_onednn_linear", lambda *args: (calls.append(args), product(*args))[1])
    return calls


def make_layers(bias=True):
    """Return our layer and PyTorch's with the same weights."""
    ours, reference = Linear(WIDTH, WIDTH, bias=bias), nn.Linear(WIDTH, WIDTH, bias=bias)
    reference.load_state_dict(ours.state_dict())
    return ours, reference


def gradients(layer, inputs):
    inputs = inputs.clone().requires_grad_()
    outputs = layer(inputs)
    return outputs, *torch.autograd.grad(outputs.square().sum(), [inputs, *layer.parameters()])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(ROWS, WIDTH), (4, ROWS // 4, WIDTH), (2, 2, ROWS // 4, WIDTH)])
def test_outputs_and_gradients_equal_those_of_pytorch(onednn_calls, shape, bias):
    inputs = torch.randn(*shape)
    ours, reference = (gradients(layer, inputs) for layer in make_layers(bias))
    assert len(onednn_calls) == 3
    assert ours[0].shape == shape
    for value, expected in zip(ours, reference, strict=True):
        assert value.is_contiguous()
        assert (value - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_gradient_can_be_differentiated_again(onednn_calls):
    inputs = torch.randn(ROWS, WIDTH, requires_grad=True)

    def penalty(layer):  # as in a Wasserstein GAN
        [slope] = torch.autograd.grad(layer(inputs).tanh().sum(), inputs, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), layer.weight)[0]

    value, expected = map(penalty, make_layers())
    assert onednn_calls
    assert (value - expected).abs().max() < 1e-5 * expected.abs().max()


def test_only_required_gradients_are_computed(onednn_calls):
    layer, _ = make_layers()
    layer.weight.requires_grad_(False)
    layer(torch.randn(ROWS, WIDTH)).sum().backward()  # only the bias
    assert len(onednn_calls) == 1
    with torch.no_grad():
        layer(torch.randn(ROWS, WIDTH))
    assert len(onednn_calls) == 2


@pytest.mark.parametrize(
    "case",
    ["small", "one_row", "half", "autocast", "compiled", "traced", "transformed", "slower"],
)
@pytest.mark.filterwarnings("ignore:.*jit.trace")
def test_other_cases_use_the_implementation_of_pytorch(onednn_calls, case, monkeypatch):
    layer, reference = make_layers()
    inputs = torch.randn(ROWS, WIDTH)
    if case == "small":
        inputs = inputs[:-1]
    else:  # the size does not matter in the other cases
        monkeypatch.setattr(onednn_linear, "MIN_PRODUCTS", 1)
    if case == "slower":
        monkeypatch.setattr(onednn_linear, "is_onednn_faster", lambda: False)
    elif case == "one_row":
        inputs = inputs[0]
    elif case == "half":
        layer, reference, inputs = layer.bfloat16(), reference.bfloat16(), inputs.bfloat16()
    calls = {
        "autocast": lambda layer: torch.autocast("cpu", torch.bfloat16)(layer)(inputs),
        "compiled": lambda layer: torch.compile(layer, backend="eager", fullgraph=True)(inputs),
        "traced": lambda layer: torch.jit.trace(layer, inputs, check_trace=False)(inputs),
        "transformed": lambda layer: torch.func.vmap(layer)(inputs.view(2, -1, WIDTH)),
    }
    call = calls.get(case, lambda layer: layer(inputs))
    assert torch.equal(call(layer), call(reference))
    assert not onednn_calls


def test_networks_use_them_and_are_exported(onednn_calls):
    net = make_dense([WIDTH, WIDTH, 10], "relu")
    inputs = torch.randn(ROWS, WIDTH)
    outputs = copy.deepcopy(net)(inputs)
    assert len(onednn_calls) == 1  # the last layer is small
    exported = torch.export.export(net, (inputs,))
    assert "mkldnn" not in str(exported.graph)
    assert (exported.module()(inputs) - outputs).abs().max() < 1e-5
