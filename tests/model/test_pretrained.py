"""Trained weights: from torchvision, from files and from runs; what fits, and what is said where something does not."""

import logging
import urllib.error

import pytest
import torch
import torchvision
from torch import nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.model.resnet import ResNet


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


def test_torchvisions_weights_from_a_file_give_torchvisions_answers(tmp_path):
    theirs = torchvision.models.resnet18(num_classes=5)
    file = saved(tmp_path, theirs.state_dict())
    net = ResNet(images(side=64, classes=5), weights=file)
    inputs = torch.randn(2, 3, 64, 64)
    assert torch.allclose(net.eval()(inputs), theirs.eval()(inputs), atol=1e-4)


def test_grey_images_are_read_by_the_weights_summed_over_the_colours(tmp_path):
    coloured = small().eval()
    grey = small(images(colours=1), weights=saved(tmp_path, coloured.state_dict())).eval()
    inputs = torch.randn(2, 1, 32, 32)
    assert torch.allclose(grey(inputs), coloured(inputs.expand(2, 3, 32, 32)), atol=1e-5)
    assert grey.conv1.weight.shape == (8, 1, 3, 3)


@pytest.mark.parametrize("place", ["my/run", "my/run/checkpoints/best.ckpt", "my"])
def test_a_run_of_ours_gives_its_best_checkpoint_and_so_does_a_folder_of_one_run(place, tmp_path):
    source = small()
    a_run(tmp_path / "my/run", source)
    assert different(small(weights=str(tmp_path / place)), source.state_dict()) == set()


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
    with pytest.raises(UserError, match=r"^model\.net\.weights: .*file\.pth('?) (is damaged|is neither)"):
        small(weights=str(file))


def test_a_folder_of_several_runs_offers_them_and_one_without_is_refused(tmp_path):
    a_run(tmp_path / "outputs/first/0", small())
    a_run(tmp_path / "outputs/second", small())
    with pytest.raises(UserError, match=r"outputs holds several runs; name one: .*outputs/first/0, .*outputs/second$"):
        small(weights=str(tmp_path / "outputs"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no run with a checkpoints/best\.ckpt$"):
        small(weights=str(tmp_path / "empty"))
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
