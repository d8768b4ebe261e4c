"""Activations and initializations compared with their definitions."""

from math import sqrt
from typing import get_args

import pytest
import torch
from torch import nn

from trainer.model.layers.dense import ACTIVATIONS, Activation, Initialization, initialize_weights

AT_MINUS_ONE_AND_TWO = {
    "relu": [0.0, 2.0],
    "leaky_relu": [-0.01, 2.0],
    "elu": [-0.6321206, 2.0],  # 1/e - 1
    "gelu": [-0.1586553, 1.9544997],  # x times the normal distribution function
    "sigmoid": [0.2689414, 0.8807971],
    "tanh": [-0.7615942, 0.9640276],
}
# standard deviation and limit of the weights of a layer with 300 inputs and 200 outputs
SPREAD = {
    "xavier_uniform": (sqrt(2 / 500), sqrt(6 / 500)),
    "xavier_normal": (sqrt(2 / 500), None),
    "kaiming_uniform": (sqrt(2 / 300), sqrt(6 / 300)),
    "kaiming_normal": (sqrt(2 / 300), None),
}


def test_each_name_has_an_activation():
    assert set(ACTIVATIONS) == set(get_args(Activation)) == set(AT_MINUS_ONE_AND_TWO)


@pytest.mark.parametrize("name", AT_MINUS_ONE_AND_TWO)
def test_an_activation_has_its_values(name):
    values = ACTIVATIONS[name]()(torch.tensor([-1.0, 2.0])).tolist()
    assert values == pytest.approx(AT_MINUS_ONE_AND_TWO[name], abs=1e-6)


@pytest.mark.parametrize("name", SPREAD)
def test_an_initialization_has_its_standard_deviation_and_limit(name):
    torch.manual_seed(0)
    layer = nn.Linear(300, 200)
    initialize_weights(layer, name)
    std, limit = SPREAD[name]
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.001)
    largest = layer.weight.abs().max().item()
    assert largest == pytest.approx(limit, rel=0.01) if limit else largest > 3.5 * std


@pytest.mark.parametrize("name", sorted({*get_args(Initialization)} - {"default"}))
def test_all_linear_and_convolutional_layers_are_initialized(name):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)), nn.Linear(5, 6))
    for p in net.parameters():
        nn.init.constant_(p, 7.0)
    initialize_weights(net, name)
    for layer in (net[0], net[1][0], net[2]):
        assert not (layer.weight == 7).any()
        assert not layer.bias.any()
    assert (net[1][1].weight == 7).all()


def test_a_layer_without_bias_is_initialized():
    layer = nn.Linear(3, 3, bias=False)
    initialize_weights(layer, "orthogonal")
    assert torch.allclose(layer.weight @ layer.weight.T, torch.eye(3), atol=1e-6)


def test_the_default_changes_neither_weights_nor_random_state():
    net = nn.Linear(3, 3)
    weight, bias, state = net.weight.clone(), net.bias.clone(), torch.get_rng_state()
    initialize_weights(net, "default")
    assert torch.equal(net.weight, weight)
    assert torch.equal(net.bias, bias)
    assert torch.equal(torch.get_rng_state(), state)
