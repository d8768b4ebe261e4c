"""CNN for images of several sizes, the order of its layers, and the effect of each option."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.cnn import CNN
from trainer.model.layers.dense import ACTIVATIONS


def images(channels=1, height=8, width=8, classes=10):
    return DataSpec("pictures", "image", (channels, height, width), "classification", classes)


@pytest.mark.parametrize(
    ("shape", "settings", "parameters"),
    [
        ((1, 28, 28), {}, 421_642),  # 320 + 18,496 + 64 * 7 * 7 * 128 + 128 + 1,290
        ((3, 32, 32), {"channels": (4,), "hidden": ()}, 10_362),  # 112 + 4 * 16 * 16 * 10 + 10
        ((1, 7, 13), {"channels": (2, 3), "hidden": (5,)}, 187),  # 20 + 57 + 3 * 1 * 3 * 5 + 5 + 60
        ((2, 5, 5), {"channels": (), "hidden": ()}, 510),  # 50 * 10 + 10
        ((1, 9, 9), {"channels": (2,), "kernel_size": 5, "hidden": ()}, 382),  # 52 + 2 * 4 * 4 * 10 + 10
    ],
)
def test_sizes_depend_on_images_and_settings(shape, settings, parameters):
    net = CNN(images(*shape), **settings)
    assert net(torch.randn(3, *shape)).shape == (3, 10)
    assert sum(p.numel() for p in net.parameters()) == parameters


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "sigmoid", "tanh"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_pooling_before_the_activation_equals_pooling_after_it_bit_for_bit(activation, batch_norm):
    net = CNN(images(), channels=[8], activation=activation, batch_norm=batch_norm)
    inputs = torch.randn(4, 1, 8, 8)
    features = net.blocks[0](inputs.contiguous(memory_format=torch.channels_last))
    if batch_norm:
        features = net.blocks[1](features)
    expected = F.max_pool2d(ACTIVATIONS[activation]()(features), 2)
    assert torch.equal(net.blocks(inputs.contiguous(memory_format=torch.channels_last)), expected)


def test_outputs_equal_values_computed_by_hand():
    net = CNN(images(1, 2, 2, classes=1), channels=[1], hidden=[])
    with torch.no_grad():
        net.blocks[0].weight.zero_()[0, 0, 1, 1] = 2.0  # the pixel itself
        net.blocks[0].weight[0, 0, 1, 2] = 1.0  # and its right neighbor
        net.blocks[0].bias.fill_(-1.0)
        net.head[0].weight.fill_(3.0)
        net.head[0].bias.fill_(0.5)
    # 2 * 1 + 4 - 1 = 5, 2 * 4 - 1 = 7, 2 * 3 - 2 - 1 = 3, 2 * -2 - 1 = -5: the maximum is 7; relu of negative sums is 0
    inputs = torch.tensor([[[[1.0, 4.0], [3.0, -2.0]]], [[[-1.0, -1.0], [-1.0, -1.0]]]])
    assert net(inputs).tolist() == [[21.5], [0.5]]


def test_the_order_of_the_layers():
    net = CNN(images(), channels=[4], hidden=[6], activation="elu", batch_norm=True, dropout=0.5)
    assert [type(layer).__name__ for layer in net.blocks] == ["Conv2d", "BatchNorm2d", "MaxPool2d", "ELU"]
    assert [type(layer).__name__ for layer in net.head] == ["Linear", "ELU", "Dropout", "Linear"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_reach_every_parameter(batch_norm):
    net = CNN(images(), channels=[4, 8], hidden=[16], activation="tanh", batch_norm=batch_norm)
    net(torch.randn(16, 1, 8, 8)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_batch_norm_keeps_running_statistics_of_each_block():
    net = CNN(images(), channels=[4, 8], batch_norm=True)
    names = [name for name, _ in net.named_buffers() if name.endswith("running_mean")]
    assert names == ["blocks.1.running_mean", "blocks.5.running_mean"]
    net(torch.randn(4, 1, 8, 8) + 3)
    assert all(net.get_buffer(name).any() for name in names)
    assert all(layer.bias is None for layer in net.blocks if isinstance(layer, nn.Conv2d))
    assert not list(CNN(images()).named_buffers())


def test_dropout_is_only_active_in_training():
    net = CNN(images(), channels=[4], hidden=[200], activation="sigmoid", dropout=0.25)
    inputs = torch.randn(1, 1, 8, 8)
    hidden = net.head[:-1](net.blocks(inputs).flatten(1))
    assert 25 <= int((hidden == 0).sum()) <= 75
    net.eval()
    assert torch.equal(net(inputs), net(inputs))


def test_weights_are_channels_last_and_the_layout_of_the_images_does_not_matter():
    net = CNN(images(3), channels=[4])
    assert net.blocks[0].weight.is_contiguous(memory_format=torch.channels_last)
    inputs = torch.randn(2, 3, 8, 8)
    assert net.blocks(inputs[:, :, :, :]).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(net(inputs), net(inputs.contiguous(memory_format=torch.channels_last)))


def test_the_initialization_is_selected_by_name():
    net = CNN(images(), channels=[4], hidden=[6], init="orthogonal")
    for layer in (net.blocks[0], net.head[0], net.head[-1]):
        weight = layer.weight.flatten(1)
        gram = weight @ weight.T if len(weight) <= weight.shape[1] else weight.T @ weight
        assert torch.allclose(gram, torch.eye(len(gram)), atol=1e-5)
        assert not layer.bias.any()


@pytest.mark.parametrize(("size", "limit"), [((8, 8), 3), ((8, 7), 2), ((28, 28), 4), ((3, 64), 1)])
def test_the_number_of_blocks_is_limited_by_the_image_size(size, limit):
    spec = images(1, *size)
    assert CNN(spec, channels=[2] * limit)(torch.randn(2, 1, *size)).shape == (2, 10)
    message = (
        rf"{size[0]}x{size[1]} images are too small for {limit + 1} blocks; use at most {limit} for data 'pictures'$"
    )
    with pytest.raises(MismatchError, match=rf"^model\.net\.channels: {message}"):
        CNN(spec, channels=[2] * (limit + 1))


@pytest.mark.parametrize("kernel_size", [2, 4])
def test_an_even_kernel_is_rejected(kernel_size):
    message = f"{kernel_size} is even and would change the image's size; use 3 or 5$"
    with pytest.raises(UserError, match=rf"^model\.net\.kernel_size: {message}"):
        CNN(images(), kernel_size=kernel_size)


def test_data_without_images_are_rejected():
    with pytest.raises(MismatchError, match=r"^model 'cnn' needs images .*; data 'points' has vectors \(2,\)$"):
        CNN(DataSpec("points", "vector", (2,), "classification", 1))


def test_blocks_have_several_convolutions_and_one_pooling():
    net = CNN(images(), channels=[4, 8], convolutions=[1, 2], hidden=[], batch_norm=True)
    block = ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]
    assert [type(layer).__name__ for layer in net.blocks] == [*block, "Conv2d", "BatchNorm2d", "ReLU", *block]
    assert [layer.in_channels for layer in net.blocks if isinstance(layer, nn.Conv2d)] == [1, 4, 8]
    assert net(torch.randn(3, 1, 8, 8)).shape == (3, 10)


def test_without_padding_it_is_the_lenet_of_the_tutorial():
    net = CNN(images(3, 32, 32), channels=[6, 16], kernel_size=5, padding=False, hidden=[120, 84])
    assert net.head[0].in_features == 16 * 5 * 5
    # 6 (75 + 1), 16 (150 + 1), 120 (400 + 1), 84 (120 + 1), 10 (84 + 1)
    assert sum(p.numel() for p in net.parameters()) == 62006
    with pytest.raises(MismatchError, match="32x32 images are too small for 3 blocks; use at most 2"):
        CNN(images(3, 32, 32), channels=[6, 16, 32], kernel_size=5, padding=False, convolutions=[1, 1, 2])


@pytest.mark.parametrize("convolutions", [[1], [1, 2, 3], [1, 0], 0])
def test_convolutions_that_do_not_fit_the_channels_are_rejected(convolutions):
    with pytest.raises(UserError, match=r"^model\.net\.convolutions: .* for each of \[4, 8\]$"):
        CNN(images(), channels=[4, 8], convolutions=convolutions)
