"""ResNet compared with torchvision, stems by image size, and frozen parts."""

import logging

import pytest
import torch
import torchvision
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.resnet import ResNet
from trainer.training.build_module import find_compatible_models


def images(channels=3, side=32, classes=10):
    return DataSpec("pictures", "image", (channels, side, side), "classification", classes)


def make_small(spec=None, **settings):
    return ResNet(spec or images(), **{"depth": 10, "width": 8} | settings)


def find_differences(net, state):
    """Return the names of all tensors that differ from `state`."""
    return {name for name, value in net.state_dict().items() if not torch.equal(value, state[name])}


@pytest.mark.parametrize(
    ("depth", "parameters"),
    # from torchvision's table of models, each with 1000 outputs
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_with_the_imagenet_stem_it_equals_the_network_of_torchvision(depth, parameters):
    with torch.device("meta"):
        net = ResNet(images(side=224, classes=1000), depth=depth)
        reference = torchvision.models.get_model(f"resnet{depth}")
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert {n: v.shape for n, v in net.state_dict().items()} == {n: v.shape for n, v in reference.state_dict().items()}


@pytest.mark.parametrize(
    ("side", "stem", "resolved_stem", "remaining_side"),
    [
        (8, "auto", "small", 4),
        (32, "auto", "small", 16),
        (63, "auto", "small", 32),
        (64, "auto", "imagenet", 16),
        (32, "imagenet", "imagenet", 8),
        (32, "full", "full", 32),
        (64, "small", "small", 32),
    ],
)
def test_the_stem_reduces_the_image(side, stem, resolved_stem, remaining_side, caplog):
    with caplog.at_level(logging.INFO):
        net = make_small(images(side=side), stem=stem)
    sides = []
    net.layer1.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    assert net(torch.randn(2, 3, side, side)).shape == (2, 10)
    assert sides == [remaining_side]
    assert f"stem {resolved_stem}" in caplog.text


@pytest.mark.parametrize(("depth", "last"), [(10, 64), (18, 64), (50, 256)])
def test_the_width_scales_every_layer(depth, last):
    net = ResNet(images(), depth=depth, width=8)
    assert [net.conv1.out_channels, net.fc.in_features] == [8, last]
    net(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    assert net.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_convolutions_are_initialized_as_in_torchvision():
    # kaiming normal over the outputs: std sqrt(2 / (channels out * kernel area))
    weight = ResNet(images(), width=32).layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)


def test_shape_checks_read_no_weights_and_log_nothing(tmp_path, monkeypatch, caplog):
    (tmp_path / "conf/model").mkdir(parents=True)
    net = "{_target_: trainer.model.resnet.ResNet, _partial_: true, weights: nowhere.pth}"
    (tmp_path / "conf/model/mine.yaml").write_text(f"net: {net}\n")
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        assert {"resnet", "mine"} <= {*find_compatible_models(images())}
    assert "resnet" not in caplog.text


def train(net, number=3):
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
    net.train()
    for _ in range(number):
        loss = nn.functional.cross_entropy(net(torch.randn(8, 3, 32, 32)), torch.arange(8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("trainable", "trained"),
    [("head", ("fc",)), (["fc"], ("fc",)), (["layer4", "fc"], ("layer4", "fc")), (["layer3.0.bn1"], ("layer3.0.bn1",))],
)
def test_frozen_parts_and_their_statistics_do_not_change(trainable, trained):
    net = make_small(trainable=trainable)
    initial = {name: value.clone() for name, value in net.state_dict().items()}
    train(net)
    assert find_differences(net, initial) == {
        name for name in initial if name.startswith(tuple(f"{part}." for part in trained))
    }


def test_all_parts_are_trained_by_default():
    net = make_small()
    initial = {name: value.clone() for name, value in net.state_dict().items()}
    train(net)
    assert find_differences(net, initial) == {*initial}


def test_invalid_settings_are_rejected():
    with pytest.raises(UserError, match=r"^model\.net\.trainable: the network has no part 'layr4'; did you mean 'lay"):
        make_small(trainable=["layr4"])
    with pytest.raises(UserError, match=r"^model\.net\.trainable: .* leaves no trainable parameter"):
        make_small(trainable=["relu"])
    with pytest.raises(UserError, match="width: must be at least 1"):
        make_small(width=0)
    with pytest.raises(MismatchError, match=r"^model 'resnet' needs images"):
        ResNet(DataSpec("points", "vector", (2,), "classification", 1))
