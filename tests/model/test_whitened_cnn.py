"""Whitening of patches by the first layer, initial weights, trained parameters, and invalid sizes."""

import pytest
import torch
import torch.nn.functional as F

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.model.whitened_cnn import MAX_IMAGES, WhitenedCNN


def images(channels=3, size=32):
    return DataSpec("pictures", "image", (channels, size, size), "classification", 10)


def draw_correlated_images(number):
    noise = torch.randn(number, 3, 18, 18, generator=torch.Generator().manual_seed(0))
    return F.avg_pool2d(noise, 3, stride=1) * torch.tensor([10.0, 50.0, 20.0]).view(3, 1, 1)


@pytest.mark.parametrize(
    ("channels", "size", "widths", "parameters"),
    [
        (3, 32, (32, 128, 128), 497_216),  # 9 * (24*32 + 32**2 + 32*128 + 3 * 128**2) + 2 * (32+128+128) + 1,280
        (3, 32, (64, 256, 256), 1_971_328),
        (1, 28, (8, 8), 2_416),  # 9 * (8*8 + 3 * 8**2) + 2 * 16 + 80
    ],
)
def test_sizes_depend_on_images_and_channels(channels, size, widths, parameters):
    net = WhitenedCNN(images(channels, size), channels=widths)
    assert net(torch.randn(2, channels, size, size)).shape == (2, 10)
    assert sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad) == parameters
    trained = {name.rsplit(".", 1)[1] for name, parameter in net.blocks.named_parameters() if parameter.requires_grad}
    assert trained == {"weight", "bias"}
    assert not any(net.blocks[0][index].weight.requires_grad for index in (2, 5))  # scales of batch norms


def test_outputs_of_the_first_layer_are_uncorrelated_and_have_variance_1():
    inputs = draw_correlated_images(400)
    net = WhitenedCNN(images(size=16), channels=[4])
    net.compute_statistics([(inputs[:300], torch.zeros(300)), (inputs[300:], torch.zeros(100))])
    outputs = F.conv2d(inputs, net.whitening).transpose(0, 1).flatten(1)  # (24, patches)
    products = outputs[:12] @ outputs[:12].T / outputs.shape[1]
    assert products == pytest.approx(torch.eye(12), abs=1e-3)
    assert torch.equal(outputs[12:], -outputs[:12])


def test_the_first_images_determine_the_filters():
    net = WhitenedCNN(images(size=4), channels=[4])
    inputs = torch.randn(MAX_IMAGES + 100, 3, 4, 4)
    targets = torch.zeros(len(inputs))
    net.compute_statistics([(inputs[:MAX_IMAGES], targets[:MAX_IMAGES])])
    expected = net.whitening.clone()
    net.compute_statistics([(inputs[:4000], targets[:4000]), (inputs[4000:], targets[4000:])])
    torch.testing.assert_close(net.whitening.abs(), expected.abs(), rtol=1e-4, atol=1e-5)


def test_convolutions_initially_pass_their_inputs_on():
    block = WhitenedCNN(images(), channels=[32]).blocks[0]
    features = torch.randn(2, 24, 8, 8)
    assert torch.equal(block[0](features)[:, :24], features)


@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_small_images_are_pooled_to_one_pixel(size):
    net = WhitenedCNN(images(1, size), channels=[4, 4, 4, 4])
    assert net(torch.randn(3, 1, size, size)).shape == (3, 10)


def test_invalid_channels_are_errors():
    with pytest.raises(UserError, match=r"model\.net\.channels: \[8, 0\]; expected one number of at least 1"):
        WhitenedCNN(images(), channels=[8, 0])
