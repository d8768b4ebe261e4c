"""A GPU that trains, simulated, holds the examples and makes the batches; what it cannot is made in memory."""

import itertools
import logging
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from pytorch_lightning import LightningModule

from trainer.data.cifar10 import CIFAR10
from trainer.data.digits import Digits
from trainer.data.image_folder import ImageFolder
from trainer.data.imdb import IMDB
from trainer.data.line import Line
from trainer.data.mnist import MNIST
from trainer.data.stock import Stock
from trainer.data.table import Table
from trainer.data.threshold import Threshold
from trainer.data.xor import XOR
from trainer.training.loop.hook_dispatch import stays_in_place

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
CHANGED = {"degrees": 5.0, "shift_pixels": 1.0, "scale": 0.1}
SETS = {
    "xor": lambda: XOR(batch_size=4),
    "threshold": lambda: Threshold(batch_size=4),
    "line": Line,
    "digits": Digits,
    "mnist": lambda: MNIST(synthetic=True, **CHANGED),
    "cifar10": lambda: CIFAR10(synthetic=True, mirror=True, shift_pixels=4),
    "table": lambda: Table(path="", target=-1, features=8, synthetic=True),
    "stock": lambda: Stock(synthetic=True),
    "image_folder": lambda: ImageFolder(path="", size=32, mirror=True, synthetic=True, **CHANGED),
}


class KnowsTheCpuAlone(Digits):
    def augment(self, inputs, random):
        return inputs + torch.ones(inputs.shape[1:])


def ready(data, device=GPU):
    """A data set that has read its examples, of a trainer whose network is on a device."""
    data.setup("fit")
    strategy = SimpleNamespace(root_device=device)
    data.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1, num_devices=1)
    return data


def loaders(data):
    return [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]


def same(there, here):
    """Whether batches of the GPU have the numbers of those in memory."""
    pairs = [*zip(there, here, strict=True)]
    assert {part.device for batch, _ in pairs for part in batch} == {GPU}
    return all(torch.equal(a.cpu(), b) for batches in pairs for a, b in zip(*batches, strict=True))


@pytest.mark.parametrize("name", SETS)
def test_the_gpu_holds_the_examples_and_makes_the_batches_without_a_wait(name, gpu):
    there, here = loaders(ready(SETS[name]())), loaders(ready(SETS[name](), CPU))
    for loader, other in zip(there, here, strict=True):
        assert loader.device == loader.targets.device == GPU
        assert loader.inputs.device == (CPU if loader.read else GPU)
        gpu.clear()
        batches = [*loader]
        assert not gpu
        assert same(batches, other)


def test_pictures_that_were_read_become_floats_and_are_changed_there(tmp_path, gpu):
    for split, number in itertools.product(("train", "val", "test"), range(6)):
        folder = tmp_path / split / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / f"{number}.png")

    def pictures(device):
        data = ImageFolder(path=str(tmp_path), size=8, mirror=True, workers=0, batch_size=2, **CHANGED)
        return loaders(ready(data, device))

    assert all(same(*both) for both in zip(pictures(GPU), pictures(CPU), strict=True))


def test_texts_stay_in_memory_as_each_batch_is_cut_to_its_longest(gpu):
    assert {loader.device for loader in loaders(ready(IMDB(synthetic=True)))} == {CPU}


def test_many_batches_are_made_at_once(monkeypatch, gpu):
    sizes = []
    monkeypatch.setattr(Digits, "prepare", lambda self, inputs: sizes.append(len(inputs)) or inputs.float())
    loader = ready(Digits(batch_size=8)).train_dataloader()
    sizes.clear()
    assert len([*loader]) == len(loader) > 1
    assert sizes == [len(loader.targets)]


def test_what_cannot_be_made_there_is_made_in_memory_and_a_line_says_so(caplog, gpu):
    data = ready(KnowsTheCpuAlone())
    with caplog.at_level(logging.INFO, "trainer"):
        assert [loader.device for loader in loaders(data)] == [CPU, GPU, GPU]
    [said] = [record.message for record in caplog.records]
    assert said.startswith(
        "examples stay in memory and go to the GPU batch by batch: their batches cannot be made there"
    )
    assert "two devices" in said


def test_what_a_gpu_has_no_room_for_stays_in_memory(caplog, monkeypatch, gpu):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**20, 2**34))
    data = ready(MNIST(synthetic=True))
    with caplog.at_level(logging.INFO, "trainer"):
        assert data.train_dataloader().device == CPU
    assert "MiB, and 1 MiB are free there" in caplog.text


def test_a_batch_that_is_made_there_need_not_go_there(gpu):
    def stays(loader, device):
        strategy = SimpleNamespace(root_device=device)
        trainer = SimpleNamespace(lightning_module=LightningModule(), datamodule=None, strategy=strategy)
        return stays_in_place(trainer, [loader])

    on_gpu, in_memory = (ready(Digits(), device).train_dataloader() for device in (GPU, CPU))
    assert stays(on_gpu, GPU)
    assert stays(in_memory, CPU)
    assert not stays(in_memory, GPU)
