"""Outputs averaged over views of images, in validation, test and prediction, and not in training."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Generator, nn
from torchvision.transforms.v2 import functional as F

import trainer
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.digits import Digits
from trainer.task.objective import make_objective
from trainer.task.supervised import Supervised
from trainer.task.test_time_augmentation import ViewAverage

SPEC = DataSpec("my", "image", (2, 6, 5), "classification", 3)
IMAGES = torch.rand(4, 2, 6, 5, generator=Generator().manual_seed(0))
DIGITS = ["data=digits", "model=cnn", "model.net.channels=[4]", "model.net.hidden=[]", "trainer.max_epochs=1"]


def average_by_hand(net, views):
    """Return the mean outputs over the mirror image and, with half of the weight, over shifted images."""
    padded = F.pad(IMAGES, [1], padding_mode="reflect")
    shifted = [F.crop(padded, corner, corner, 6, 5) for corner in (0, 2)]
    weighted = {"none": [(1, IMAGES)], "mirror": [(1 / 2, IMAGES), (1 / 2, F.horizontal_flip(IMAGES))]}
    weighted["shift"] = [(1 / 2, IMAGES), *[(1 / 4, image) for image in shifted]]
    weighted["mirror_shift"] = [
        *[(1 / 4, IMAGES), (1 / 4, F.horizontal_flip(IMAGES))],
        *[(1 / 8, view) for image in shifted for view in (image, F.horizontal_flip(image))],
    ]
    return sum(weight * net(images) for weight, images in weighted[views])


def make_task(views):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(60, 8), nn.Tanh(), nn.Linear(8, 3))
    return Supervised(net, make_objective(SPEC), torch.optim.SGD, None, test_time_augmentation=views)


@pytest.mark.parametrize("views", ["none", "mirror", "shift", "mirror_shift"])
def test_evaluation_averages_the_outputs_of_the_views_and_training_does_not(views):
    task = make_task(views)
    task.log = lambda *_, **__: None
    targets = torch.tensor([0, 2, 1, 1])
    loss = task.training_step((IMAGES, targets), 0)
    assert torch.equal(loss, task.objective.loss(task.net(IMAGES), targets))
    task.eval()
    expected = average_by_hand(task.net, views)
    assert torch.allclose(task(IMAGES), expected, atol=1e-6)
    assert torch.allclose(task.validation_step((IMAGES, targets), 0), expected, atol=1e-6)
    assert torch.allclose(ViewAverage(task.net, views)(IMAGES), expected, atol=1e-6)


@pytest.mark.slow
def test_a_run_tests_and_predicts_with_the_mean_and_trains_the_same_weights(command):
    for name in ("none", "mirror"):
        assert command(*DIGITS, f"model.test_time_augmentation={name}", f"hydra.run.dir={name}").code == 0
    plain, mirrored = (
        torch.load(f"{name}/checkpoints/last.ckpt")["state_dict"].values() for name in ("none", "mirror")
    )
    assert all(map(torch.equal, plain, mirrored))
    network = trainer.load("none")
    data = Digits()
    data.setup("test")
    [(inputs, targets)] = data.test_dataloader()
    outputs = (network.outputs(inputs) + network.outputs(inputs.flip(3))) / 2
    loss = nn.functional.cross_entropy(outputs, targets).item()
    assert trainer.test("mirror").metrics["test/loss"] == pytest.approx(loss, rel=1e-5)
    assert json.loads(Path("mirror/result.json").read_text())["metrics"]["test/loss"] == pytest.approx(loss, rel=1e-5)
    assert torch.allclose(trainer.load("mirror").outputs(inputs), outputs, atol=1e-5)
    Image.fromarray((data.splits["test"].inputs[0, 0] * 15).numpy()).save("my.png")
    [prediction] = trainer.load("mirror").predict("my.png")
    inputs = network.preprocessing.prepare(network.preprocessing.read_images(["my.png"]))
    outputs = (network.outputs(inputs) + network.outputs(inputs.flip(3))) / 2
    assert [*prediction.probabilities.values()] == pytest.approx(outputs.softmax(1)[0].tolist(), abs=1e-5)


@pytest.mark.slow
def test_an_exported_network_averages_the_views(command):
    assert command(*DIGITS, "model.test_time_augmentation=mirror_shift", "hydra.run.dir=run").code == 0
    assert command("export", "run", "--to", "net.pt2").code == 0
    inputs = torch.rand(3, 1, 8, 8)
    exported = torch.export.load("net.pt2").module()
    assert torch.allclose(exported(inputs), trainer.load("run").outputs(inputs), atol=1e-5)


def test_inputs_that_are_no_images_are_an_error():
    spec = DataSpec("my", "tokens", (6,), "classification", 3, vocabulary_size=5)
    with pytest.raises(
        UserError, match=r"model\.test_time_augmentation: 'mirror' needs images; data 'my' has inputs of"
    ):
        Supervised(nn.Identity(), make_objective(spec), torch.optim.SGD, None, test_time_augmentation="mirror")
