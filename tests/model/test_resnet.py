"""ResNet: torchvision's numbers, stems by image size, frozen parts that do not move."""

import logging
import sys

import pytest
import torch
import torchvision
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.resnet import ResNet
from trainer.training.build import models_that_take


def images(colours=3, side=32, classes=10):
    return DataSpec("pictures", "image", (colours, side, side), "classes", classes)


def small(spec=None, **settings):
    return ResNet(spec or images(), **{"depth": 10, "width": 8} | settings)


def different(net, state):
    """Names of the numbers that are not those of `state`, bit for bit."""
    return {name for name, value in net.state_dict().items() if not torch.equal(value, state[name])}


@pytest.mark.parametrize(
    ("depth", "numbers"),
    # torchvision's table of models, each with 1000 outputs
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_with_imagenets_stem_it_is_torchvisions_network_name_by_name(depth, numbers):
    with torch.device("meta"):
        net = ResNet(images(side=224, classes=1000), depth=depth)
        theirs = torchvision.models.get_model(f"resnet{depth}")
    assert sum(p.numel() for p in net.parameters()) == numbers
    assert {n: v.shape for n, v in net.state_dict().items()} == {n: v.shape for n, v in theirs.state_dict().items()}


@pytest.mark.parametrize(
    ("side", "stem", "chosen", "left"),
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
def test_the_stem_leaves_so_much_of_an_image(side, stem, chosen, left, caplog):
    with caplog.at_level(logging.INFO):
        net = small(images(side=side), stem=stem)
    sides = []
    net.layer1.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    assert net(torch.randn(2, 3, side, side)).shape == (2, 10)
    assert sides == [left]
    assert f"stem {chosen}" in caplog.text


@pytest.mark.parametrize(("depth", "last"), [(10, 64), (18, 64), (50, 256)])
def test_the_width_scales_every_layer(depth, last):
    net = ResNet(images(), depth=depth, width=8)
    assert [net.conv1.out_channels, net.fc.in_features] == [8, last]
    net(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    assert net.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_convolutions_begin_as_torchvision_has_it():
    # kaiming normal over the outputs: deviation sqrt(2 / (channels out * kernel area))
    weight = ResNet(images(), width=32).layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)


def test_where_only_shapes_are_looked_at_no_weights_are_read_and_nothing_is_said(tmp_path, monkeypatch, caplog):
    (tmp_path / "conf/model").mkdir(parents=True)
    net = "{_target_: trainer.model.resnet.ResNet, _partial_: true, weights: nowhere.pth}"
    (tmp_path / "conf/model/mine.yaml").write_text(f"net: {net}\n")
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        assert {"resnet", "mine"} <= {*models_that_take(images())}
    assert "resnet" not in caplog.text


def steps(net, number=3):
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
    net.train()
    for _ in range(number):
        loss = nn.functional.cross_entropy(net(torch.randn(8, 3, 32, 32)), torch.arange(8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("trainable", "moving"),
    [("head", ("fc",)), (["fc"], ("fc",)), (["layer4", "fc"], ("layer4", "fc")), (["layer3.0.bn1"], ("layer3.0.bn1",))],
)
def test_frozen_parts_stay_bit_for_bit_with_the_statistics_of_their_batch_norms(trainable, moving):
    net = small(trainable=trainable)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    steps(net)
    assert different(net, before) == {name for name in before if name.startswith(tuple(f"{part}." for part in moving))}


def test_unless_it_is_said_all_parts_move():
    net = small()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    steps(net)
    assert different(net, before) == {*before}


def test_what_cannot_train_or_is_misspelt_is_refused():
    with pytest.raises(UserError, match=r"^model\.net\.trainable: the network has no part 'layr4'; did you mean 'lay"):
        small(trainable=["layr4"])
    with pytest.raises(UserError, match=r"^model\.net\.trainable: .* leaves nothing that could learn"):
        small(trainable=["relu"])
    with pytest.raises(UserError, match="width: must be at least 1"):
        small(width=0)
    with pytest.raises(MismatchError, match=r"^model 'resnet' needs images"):
        ResNet(DataSpec("points", "vector", (2,), "classes", 1))


def test_without_torchvision_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(UserError, match=r"install it: .*pip install -e '\.\[vision\]'$"):
        ResNet(images())
