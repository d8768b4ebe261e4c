"""ResNet: torchvision's numbers, stems by image size, weights from each source, frozen parts that do not move."""

import logging
import urllib.error

import pytest
import torch
import torchvision
from torch import nn

from trainer.errors import MismatchError, UserError
from trainer.model.resnet import ResNet
from trainer.preflight import models_that_take
from trainer.spec import DataSpec


def images(colours=3, side=32, classes=10):
    return DataSpec("pictures", "image", (colours, side, side), "classes", classes)


def small(spec=None, **settings):
    return ResNet(spec or images(), **{"depth": 10, "width": 8} | settings)


def saved(tmp_path, state, name="weights.pth"):
    torch.save(state, tmp_path / name)
    return str(tmp_path / name)


def a_run(folder, net, ckpt="best.ckpt"):
    (folder / "checkpoints").mkdir(parents=True)
    state = {f"net.{name}": value for name, value in net.state_dict().items()} | {"metrics.total": torch.zeros(1)}
    torch.save({"state_dict": state, "epoch": 3}, folder / "checkpoints" / ckpt)
    return str(folder)


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


def test_torchvisions_weights_from_a_file_give_torchvisions_answers(tmp_path):
    theirs = torchvision.models.resnet18(num_classes=5)
    file = saved(tmp_path, theirs.state_dict())
    net = ResNet(images(side=64, classes=5), weights=file)
    inputs = torch.randn(2, 3, 64, 64)
    assert torch.allclose(net.eval()(inputs), theirs.eval()(inputs), atol=1e-4)


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


def test_grey_images_are_read_by_the_weights_summed_over_the_colours(tmp_path):
    coloured = small().eval()
    grey = small(images(colours=1), weights=saved(tmp_path, coloured.state_dict())).eval()
    inputs = torch.randn(2, 1, 32, 32)
    assert torch.allclose(grey(inputs), coloured(inputs.expand(2, 3, 32, 32)), atol=1e-5)
    assert grey.conv1.weight.shape == (8, 1, 3, 3)


@pytest.mark.parametrize("place", ["{run}", "{run}/checkpoints/best.ckpt"])
def test_a_run_of_ours_gives_its_best_checkpoint(place, tmp_path):
    source = small()
    run = a_run(tmp_path / "run", source)
    assert different(small(weights=place.format(run=run)), source.state_dict()) == set()


def test_another_number_of_classes_gets_a_new_output_layer_and_all_else_is_taken(tmp_path, caplog):
    source = small(images(classes=6))
    with caplog.at_level(logging.INFO):
        net = small(images(classes=4), weights=a_run(tmp_path / "run", source))
    assert net.fc.weight.shape == (4, 64)
    kept = source.state_dict() | {name: torch.zeros(1) for name in ("fc.weight", "fc.bias")}
    assert different(net, kept) == {"fc.weight", "fc.bias"}
    assert "with a new fc" in caplog.text


def test_old_files_that_do_not_count_batches_are_taken(tmp_path):
    source = small()
    source(torch.randn(2, 3, 32, 32))
    state = {name: value for name, value in source.state_dict().items() if not name.endswith("num_batches_tracked")}
    net = small(weights=saved(tmp_path, state))
    assert torch.equal(net.bn1.running_mean, source.bn1.running_mean)


@pytest.mark.parametrize(
    ("source", "net", "layer", "advice"),
    [
        ({"depth": 18}, {}, "no such layer", "set model.net.depth=18"),
        ({}, {"depth": 18}, "layer1.1.conv1.weight is missing", "set model.net.depth=10"),
        ({"depth": 50}, {}, "layer1.0.conv1.weight has shape (8, 8, 1, 1)", "set model.net.depth=50"),
        ({"stem": "imagenet"}, {}, "conv1.weight has shape (8, 3, 7, 7)", "set model.net.stem=imagenet"),
        ({}, {"stem": "imagenet"}, "conv1.weight has shape (8, 3, 3, 3)", "set model.net.stem=small"),
        ({"width": 16}, {}, "conv1.weight has shape (16, 3, 3, 3)", "set model.net.width=16"),
        ({"width": 16, "depth": 18}, {}, "conv1.weight", "set model.net.depth=18 model.net.width=16"),
        ({"spec": images(1)}, {}, "conv1.weight", "they are of images with 1 channels, the data's have 3"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_the_first_layer_with_what_to_set(source, net, layer, advice, tmp_path):
    file = saved(tmp_path, small(**source).state_dict())
    with pytest.raises(UserError, match=r"^model\.net\.weights: ") as refusal:
        small(weights=file, **net)
    assert layer in str(refusal.value)
    assert str(refusal.value).endswith(advice)


def test_weights_of_another_kind_of_network_are_refused_without_advice(tmp_path):
    file = saved(tmp_path, nn.Linear(2, 2).state_dict())
    with pytest.raises(UserError, match=r"conv1\.weight is missing; the network's has shape \(8, 3, 3, 3\)$"):
        small(weights=file)


@pytest.mark.parametrize("content", [b"", b"no weights", {"epoch": 1}, {}, [1, 2], {"state_dict": {"net": 3}}])
def test_a_file_without_weights_is_refused(content, tmp_path):
    file = tmp_path / "file.pth"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(UserError, match=r"^model\.net\.weights: .*file\.pth (holds no weights|is neither)"):
        small(weights=str(file))


def test_a_directory_that_is_no_run_offers_the_runs_in_it(tmp_path):
    a_run(tmp_path / "outputs/first/0", small())
    with pytest.raises(
        UserError, match=r"is no run with a checkpoints/best\.ckpt; it holds runs, name one: .*first/0$"
    ):
        small(weights=str(tmp_path / "outputs"))
    with pytest.raises(UserError, match=r"no file or directory 'nowhere'"):
        small(weights="nowhere")


def test_without_a_network_imagenets_weights_are_named_with_the_place_to_put_them(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setattr("torch.hub.urlopen", offline)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError) as refusal:
        ResNet(images(side=64), weights="imagenet")
    for part in ("https://download.pytorch.org/models/resnet18-", f"{tmp_path}/checkpoints/resnet18-", "weights=PATH"):
        assert part in str(refusal.value)
    with pytest.raises(UserError, match=r"torchvision has none for depth 10; set model\.net\.depth=18$"):
        ResNet(images(side=64), depth=10, weights="imagenet")


def test_imagenets_weights_are_found_where_the_message_said_to_put_them(tmp_path, monkeypatch):
    theirs = torchvision.models.resnet18()
    (tmp_path / "checkpoints").mkdir()
    name = torchvision.models.ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    torch.save(theirs.state_dict(), tmp_path / "checkpoints" / name)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    net = ResNet(images(side=64), weights="imagenet")
    assert torch.equal(net.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)


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
