"""Pretrained weights from torchvision, files and runs, and errors for weights that do not fit."""

import logging
import urllib.error

import pytest
import torch
import torchvision
from torch import nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.model.resnet import ResNet


def images(channels=3, side=32, classes=10):
    return DataSpec("pictures", "image", (channels, side, side), "classification", classes)


def make_small(spec=None, **settings):
    return ResNet(spec or images(), **{"depth": 10, "width": 8} | settings)


def save(tmp_path, state, name="weights.pth"):
    torch.save(state, tmp_path / name)
    return str(tmp_path / name)


def make_run(directory, net, ckpt="best.ckpt"):
    (directory / "checkpoints").mkdir(parents=True)
    state = {f"net.{name}": value for name, value in net.state_dict().items()} | {"metrics.total": torch.zeros(1)}
    torch.save({"state_dict": state, "epoch": 3}, directory / "checkpoints" / ckpt)
    return str(directory)


def find_differences(net, state):
    """Return the names of all tensors that differ from `state`."""
    return {name for name, value in net.state_dict().items() if not torch.equal(value, state[name])}


def test_weights_of_torchvision_give_the_same_outputs(tmp_path):
    reference = torchvision.models.resnet18(num_classes=5)
    file = save(tmp_path, reference.state_dict())
    net = ResNet(images(side=64, classes=5), weights=file)
    inputs = torch.randn(2, 3, 64, 64)
    assert torch.allclose(net.eval()(inputs), reference.eval()(inputs), atol=1e-4)


def test_weights_are_summed_over_the_colors_for_gray_images(tmp_path):
    color = make_small().eval()
    gray = make_small(images(channels=1), weights=save(tmp_path, color.state_dict())).eval()
    inputs = torch.randn(2, 1, 32, 32)
    assert torch.allclose(gray(inputs), color(inputs.expand(2, 3, 32, 32)), atol=1e-5)
    assert gray.conv1.weight.shape == (8, 1, 3, 3)


@pytest.mark.parametrize("path", ["my/run", "my/run/checkpoints/best.ckpt", "my"])
def test_the_best_checkpoint_of_a_run_is_used(path, tmp_path):
    source = make_small()
    make_run(tmp_path / "my/run", source)
    assert find_differences(make_small(weights=str(tmp_path / path)), source.state_dict()) == set()


def test_another_number_of_classes_has_a_new_output_layer(tmp_path, caplog):
    source = make_small(images(classes=6))
    with caplog.at_level(logging.INFO):
        net = make_small(images(classes=4), weights=make_run(tmp_path / "run", source))
    assert net.fc.weight.shape == (4, 64)
    expected = source.state_dict() | {name: torch.zeros(1) for name in ("fc.weight", "fc.bias")}
    assert find_differences(net, expected) == {"fc.weight", "fc.bias"}
    assert "with a new fc" in caplog.text


def test_old_files_without_batch_counters_are_supported(tmp_path):
    source = make_small()
    source(torch.randn(2, 3, 32, 32))
    state = {name: value for name, value in source.state_dict().items() if not name.endswith("num_batches_tracked")}
    net = make_small(weights=save(tmp_path, state))
    assert torch.equal(net.bn1.running_mean, source.bn1.running_mean)


@pytest.mark.parametrize(
    ("source", "net", "layer", "hint"),
    [
        ({"depth": 18}, {}, "no such layer", "set model.net.depth=18"),
        ({}, {"depth": 18}, "layer1.1.conv1.weight is missing", "set model.net.depth=10"),
        ({"depth": 50}, {}, "layer1.0.conv1.weight has shape (8, 8, 1, 1)", "set model.net.depth=50"),
        ({"stem": "imagenet"}, {}, "conv1.weight has shape (8, 3, 7, 7)", "set model.net.stem=imagenet"),
        ({}, {"stem": "imagenet"}, "conv1.weight has shape (8, 3, 3, 3)", "set model.net.stem=small"),
        ({"width": 16}, {}, "conv1.weight has shape (16, 3, 3, 3)", "set model.net.width=16"),
        ({"width": 16, "depth": 18}, {}, "conv1.weight", "set model.net.depth=18 model.net.width=16"),
        ({"spec": images(1)}, {}, "conv1.weight", "they are for images with 1 channels; the data have 3"),
    ],
)
def test_errors_name_the_first_layer_that_does_not_fit_and_the_setting(source, net, layer, hint, tmp_path):
    file = save(tmp_path, make_small(**source).state_dict())
    with pytest.raises(UserError, match=r"^model\.net\.weights: ") as error:
        make_small(weights=file, **net)
    assert layer in str(error.value)
    assert str(error.value).endswith(hint)


def test_weights_of_another_network_are_rejected_without_hint(tmp_path):
    file = save(tmp_path, nn.Linear(2, 2).state_dict())
    with pytest.raises(UserError, match=r"conv1\.weight is missing; expected shape \(8, 3, 3, 3\)$"):
        make_small(weights=file)


@pytest.mark.parametrize("content", [b"", b"no weights", {"epoch": 1}, {}, [1, 2], {"state_dict": {"net": 3}}])
def test_a_file_without_weights_is_rejected(content, tmp_path):
    file = tmp_path / "file.pth"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(UserError, match=r"^model\.net\.weights: .*file\.pth('?) (is corrupted|is neither)"):
        make_small(weights=str(file))


def test_errors_for_directories_with_several_runs_or_none(tmp_path):
    make_run(tmp_path / "outputs/first/0", make_small())
    make_run(tmp_path / "outputs/second", make_small())
    with pytest.raises(
        UserError, match=r"outputs contains several runs; use one of them: .*outputs/first/0, .*outputs/second$"
    ):
        make_small(weights=str(tmp_path / "outputs"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty contains no run with a checkpoints/best\.ckpt$"):
        make_small(weights=str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"no file or directory 'nowhere'"):
        make_small(weights="nowhere")


def test_without_internet_the_error_names_url_and_path(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setattr("torch.hub.urlopen", offline)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError) as error:
        ResNet(images(side=64), weights="imagenet")
    for part in ("https://download.pytorch.org/models/resnet18-", f"{tmp_path}/checkpoints/resnet18-", "weights=PATH"):
        assert part in str(error.value)
    with pytest.raises(UserError, match=r"torchvision has no weights for depth 10; set model\.net\.depth=18$"):
        ResNet(images(side=64), depth=10, weights="imagenet")


def test_weights_at_the_path_of_the_error_are_used(tmp_path, monkeypatch):
    reference = torchvision.models.resnet18()
    (tmp_path / "checkpoints").mkdir()
    name = torchvision.models.ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    torch.save(reference.state_dict(), tmp_path / "checkpoints" / name)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    net = ResNet(images(side=64), weights="imagenet")
    assert torch.equal(net.layer4[1].conv2.weight, reference.layer4[1].conv2.weight)
