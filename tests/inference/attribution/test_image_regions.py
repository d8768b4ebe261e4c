"""Grad-CAM and integrated gradients against values computed by hand, and the choice of the layer."""

import pytest
import torch
from torch import nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.inference.attribution.image_regions import (
    compute_grad_cam,
    find_layer,
    integrate_gradients,
    require_layer,
)
from trainer.inference.attribution.predicted_output import select_logits, select_scores
from trainer.model.attention import SelfAttention
from trainer.model.cnn import CNN
from trainer.model.ensemble import Ensemble
from trainer.model.mlp import MLP
from trainer.model.resnet import ResNet
from trainer.task.objective import make_objective

IMAGES = DataSpec("images", "image", (1, 8, 8), "classification", 3)
BINARY = DataSpec("images", "image", (1, 2, 2), "classification", 1)
VALUES = DataSpec("values", "image", (1, 2, 2), "regression", 2)


class TwoChannels(nn.Module):
    """Channels x and -2x, whose means have the weights 3 and -1 for one class, and -3 and 1 for the other."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.head = nn.Linear(2, 2, bias=False)
        self.conv.weight.data = torch.tensor([1.0, -2.0]).view(2, 1, 1, 1)
        self.head.weight.data = torch.tensor([[3.0, -1.0], [-3.0, 1.0]])

    def forward(self, images):
        return self.head(self.conv(images).mean((2, 3)))


@pytest.mark.parametrize(
    ("label", "expected"),
    [(0, [[1.25, 0.0], [2.5, 0.0]]), (1, [[0.0, 1.25], [0.0, 0.0]])],  # 3/4 x + (-1/4)(-2x), and its negative
)
def test_grad_cam_is_the_sum_of_the_channels_weighted_by_their_mean_gradients(label, expected):
    net = TwoChannels().requires_grad_(False)  # gradients are also computed if all weights are frozen
    image = torch.tensor([[[[1.0, -1.0], [2.0, 0.0]]]])
    with torch.no_grad():
        actual = compute_grad_cam(net, net.conv, image, lambda outputs: outputs[:, label])
    assert actual.tolist() == [expected]
    assert not actual.requires_grad
    assert all(weight.grad is None and not weight.requires_grad for weight in net.parameters())
    assert not net.conv._forward_hooks


def test_integrated_gradients_of_a_linear_network_are_weights_times_inputs():
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 2))
    images = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(1))
    actual = integrate_gradients(net, images, lambda outputs: outputs[:, 1])
    expected = (images * net[1].weight[1].view(2, 2, 2)).sum(1)  # summed over the channels
    torch.testing.assert_close(actual, expected.detach())


def test_integrated_gradients_sum_to_the_difference_from_an_input_of_zeros():
    net = MLP(IMAGES, hidden=[16], activation="gelu").eval()
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    actual = integrate_gradients(net, images, lambda outputs: outputs[:, 0]).sum((1, 2))
    expected = (net(images) - net(torch.zeros(1, 1, 8, 8)))[:, 0]
    torch.testing.assert_close(actual, expected.detach(), rtol=1e-2, atol=1e-3)


def test_the_layer_is_the_last_one_with_the_shape_of_the_last_convolution():
    images = torch.zeros(2, 1, 8, 8)
    cnn = CNN(IMAGES, channels=[4, 4], batch_norm=True).eval()
    assert find_layer(cnn, images) is cnn.blocks[5]  # batch norm after the second convolution, before pooling
    resnet = ResNet(IMAGES, depth=10, width=4, stem="full").eval()
    with_size = torch.zeros(2, 1, 32, 32)
    assert find_layer(resnet, with_size) is resnet.layer4  # after the sum of the last block
    resnet.compile()
    assert find_layer(resnet, with_size) is resnet.layer4


def test_networks_without_overlapping_convolutions_have_no_layer():
    images = torch.zeros(2, 1, 8, 8)
    assert find_layer(MLP(IMAGES), images) is None
    assert find_layer(SelfAttention(IMAGES, patch_size=4), images) is None
    patches = nn.Sequential(nn.Conv2d(1, 4, 2, stride=2), nn.Flatten(), nn.Linear(64, 3))
    assert find_layer(patches, images) is None
    ensemble = Ensemble(IMAGES, members={"a": CNN(IMAGES), "b": CNN(IMAGES)}, averaged="probabilities")
    assert find_layer(ensemble, images) is None


def test_the_number_that_is_explained_is_that_of_the_prediction():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0]])
    labels = torch.tensor([1, 2])
    assert select_logits(logits, labels, make_objective(IMAGES)).tolist() == [1.0, 3.0]
    assert select_scores(logits, labels, make_objective(IMAGES)).tolist() == pytest.approx(
        [0.244728, 0.843795], abs=1e-6
    )
    single = torch.tensor([[2.0], [2.0]])
    assert select_logits(single, torch.tensor([1, 0]), make_objective(BINARY)).tolist() == [2.0, -2.0]
    scores = select_scores(single, torch.tensor([1, 0]), make_objective(BINARY))
    assert scores.tolist() == pytest.approx([0.880797, 0.119203], abs=1e-6)
    values = torch.tensor([[5.0, 6.0]])
    for select in (select_logits, select_scores):
        assert select(values, values, make_objective(VALUES)).tolist() == [5.0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("block", "key: the network has no layer 'block'; did you mean 'blocks'"),
        ("", "key: the network has no layer ''"),
        ("head", "key: 'head' has outputs .1, 3.; expected a layer with outputs .batch, channels, rows, columns"),
    ],
)
def test_a_layer_without_image_outputs_is_an_error(name, problem):
    net = CNN(IMAGES, channels=[4], batch_norm=True)
    with pytest.raises(UserError, match=problem):
        require_layer(net, name, IMAGES.shape, "key")
    require_layer(net, "blocks.0", IMAGES.shape, "key")
    assert net.training
    assert net.blocks[1].num_batches_tracked == 0
