"""Shapes and outputs of the MLP, and the effect of each option."""

import pytest
import torch
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.mlp import MLP

PAIR = DataSpec("pair", "vector", (2,), "regression", output_size=1)


def layer_names(net):
    return [type(layer).__name__ for layer in net.layers]


@pytest.mark.parametrize(
    ("kind", "shape", "hidden", "parameters"),
    [
        ("vector", (2,), (4,), 27),  # 2 * 4 + 4 and 4 * 3 + 3
        ("image", (1, 8, 8), (5, 6), 382),  # 64 * 5 + 5, 5 * 6 + 6 and 6 * 3 + 3
        ("sequence", (7, 2), (), 45),  # 14 * 3 + 3
    ],
)
def test_sizes_depend_on_data_and_hidden_widths(kind, shape, hidden, parameters):
    net = MLP(DataSpec("some", kind, shape, "regression", output_size=3), hidden=hidden)
    assert net(torch.randn(6, *shape)).shape == (6, 3)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_the_activation_is_not_applied_after_the_last_layer():
    net = MLP(PAIR, hidden=[2])
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
        net.layers[0].bias.copy_(torch.tensor([0.0, -1.0]))
        net.layers[2].weight.copy_(torch.tensor([[-2.0, 5.0]]))
        net.layers[2].bias.copy_(torch.tensor([0.5]))
    # (3, 1): relu(4), relu(1) -> -8 + 5 + 0.5; (1, 2): relu(3), relu(-2) -> -6 + 0 + 0.5
    assert net(torch.tensor([[3.0, 1.0], [1.0, 2.0]])).tolist() == [[-2.5], [-5.5]]


def test_without_hidden_layers_it_is_linear():
    assert layer_names(MLP(PAIR, hidden=[], batch_norm=True, dropout=0.5)) == ["Linear"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_reach_every_parameter(batch_norm):
    net = MLP(PAIR, hidden=[8, 8], activation="tanh", batch_norm=batch_norm)
    net(torch.randn(16, 2)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_order_of_the_layers():
    net = MLP(PAIR, hidden=[4], activation="tanh", batch_norm=True, dropout=0.5)
    assert layer_names(net) == ["Linear", "BatchNorm1d", "Tanh", "Dropout", "Linear"]
    assert layer_names(MLP(PAIR, hidden=[4, 3])) == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]


def test_batch_norm_normalizes_over_the_batch_and_replaces_the_bias():
    net = MLP(PAIR, hidden=[4], batch_norm=True)
    sums = net.layers[:2](torch.randn(64, 2) * 5 + 3)
    assert torch.allclose(sums.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(sums.std(0, correction=0), torch.ones(4), atol=1e-3)
    assert net.layers[0].bias is None
    assert [name for name, _ in net.named_buffers()][:2] == ["layers.1.running_mean", "layers.1.running_var"]
    assert net.layers[1].running_mean.any()
    assert not list(MLP(PAIR).named_buffers())


def test_dropout_is_only_active_in_training():
    net = MLP(PAIR, hidden=[200], activation="sigmoid", dropout=0.25)
    inputs = torch.randn(1, 2)
    net.train()
    hidden = net.layers[:-1](inputs)
    assert 25 <= int((hidden == 0).sum()) <= 75
    net.eval()
    assert torch.equal(net(inputs), net(inputs))
    assert not (net.layers[:-1](inputs) == 0).any()


def test_the_initialization_is_selected_by_name():
    net = MLP(PAIR, hidden=[2], init="orthogonal")
    weight = net.layers[0].weight
    assert torch.allclose(weight @ weight.T, torch.eye(2), atol=1e-6)
    assert all(not layer.bias.any() for layer in net.layers if isinstance(layer, nn.Linear))


def test_tokens_are_rejected():
    with pytest.raises(MismatchError, match=r"^model 'mlp' needs vectors .* or images .* or sequences .*'text' has"):
        MLP(DataSpec("text", "tokens", (9,), "classification", 2, vocabulary_size=50))


def test_residual_layers_add_their_input_if_the_widths_are_equal():
    torch.manual_seed(0)
    plain = MLP(PAIR, hidden=[5, 5, 7], activation="tanh")
    torch.manual_seed(0)
    net = MLP(PAIR, hidden=[5, 5, 7], activation="tanh", residual=True)
    inputs = torch.randn(4, *PAIR.shape)
    first = net.layers[:2](inputs)
    assert torch.equal(net.layers[2](first), first + plain.layers[2:4](first))
    assert [type(layer).__name__ for layer in net.layers] == ["Linear", "Tanh", "Residual", "Linear", "Tanh", "Linear"]


def test_residual_without_layers_of_equal_width_is_rejected():
    with pytest.raises(
        UserError, match=r"^model\.net\.residual: no layer in hidden=\[8, 4\] has the width of the previous one$"
    ):
        MLP(PAIR, hidden=[8, 4], residual=True)
