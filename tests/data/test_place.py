"""A GPU that trains holds the examples and makes the batches: on one that is pretended, of shapes and devices alone.

Fake tensors refuse what a GPU would refuse, as numbers of two devices in one operation, and what it would have to be
waited for.
"""

import logging
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import LightningModule
from torch._subclasses.fake_tensor import FakeTensorMode

from trainer.data.cifar10 import CIFAR10
from trainer.data.digits import Digits
from trainer.data.image_folder import ImageFolder
from trainer.data.imdb import IMDB
from trainer.data.line import Line
from trainer.data.loader import CPU
from trainer.data.mnist import MNIST
from trainer.data.stock import Stock
from trainer.data.table import Table
from trainer.data.threshold import Threshold
from trainer.data.xor import XOR
from trainer.loop.hooks import stays_in_place

GPU = torch.device("cuda", 0)
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


@pytest.fixture(autouse=True)
def _room(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**30, 2**34))


def pretended():
    """Within it a GPU is pretended."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def ready(data, device=GPU):
    """A data set that has read its examples, of a trainer whose network is on a device."""
    data.setup("fit")
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=device), global_rank=0, world_size=1)
    return data


def loaders(data):
    return [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]


def devices(loader):
    """Of its batches."""
    batches = [*loader]
    assert len(batches) == len(loader)
    return {part.device for batch in batches for part in batch}


@pytest.mark.parametrize("name", SETS)
def test_the_gpu_holds_the_examples_and_makes_the_batches(name):
    data = ready(SETS[name]())
    with pretended():
        for loader in loaders(data):
            assert loader.device == loader.targets.device == GPU
            assert loader.inputs.device == (CPU if loader.read else GPU)
            assert devices(loader) == {GPU}


def test_what_is_read_into_memory_goes_to_the_gpu_as_it_is_and_is_changed_there(monkeypatch):
    seen = []
    data = ready(SETS["image_folder"]())
    monkeypatch.setattr(ImageFolder, "read", lambda self, stored: [batch.to(torch.uint8) for batch in stored])
    monkeypatch.setattr(ImageFolder, "prepare", lambda self, inputs: seen.append(inputs) or inputs.float())
    with pretended():
        for loader in loaders(data):
            assert devices(loader) == {GPU}
    assert {(inputs.device, inputs.dtype) for inputs in seen} == {(GPU, torch.uint8)}


def test_texts_stay_in_memory_as_each_batch_is_cut_to_its_longest():
    data = ready(IMDB(synthetic=True))
    with pretended():
        assert {loader.device for loader in loaders(data)} == {CPU}


def test_many_batches_are_made_at_once_and_each_is_the_one_that_memory_gives(monkeypatch):
    sizes = []
    monkeypatch.setattr(Digits, "prepare", lambda self, inputs: sizes.append(len(inputs)) or inputs.float())
    data = ready(Digits(batch_size=8))
    with pretended():
        shapes = [[*inputs.shape] for inputs, _ in data.train_dataloader()]
    assert max(sizes) == sum(size for size, *_ in shapes)
    assert shapes == [[*inputs.shape] for inputs, _ in ready(data, CPU).train_dataloader()]


def test_what_cannot_be_made_there_is_made_in_memory_and_a_line_says_so(caplog):
    data = ready(KnowsTheCpuAlone())
    with caplog.at_level(logging.INFO, "trainer"), pretended():
        assert [loader.device for loader in loaders(data)] == [CPU, GPU, GPU]
    [said] = [record.message for record in caplog.records]
    assert said.startswith("examples stay in memory and go to the GPU batch by batch: their batches")
    assert "two devices" in said


def test_what_a_gpu_has_no_room_for_stays_in_memory(caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**20, 2**34))
    data = ready(MNIST(synthetic=True))
    with caplog.at_level(logging.INFO, "trainer"), pretended():
        assert data.train_dataloader().device == CPU
    assert "MiB, and 1 MiB are free there" in caplog.text


def test_a_batch_that_is_made_there_need_not_go_there():
    def stays(loader, device):
        strategy = SimpleNamespace(root_device=device)
        trainer = SimpleNamespace(lightning_module=LightningModule(), datamodule=None, strategy=strategy)
        return stays_in_place(trainer, [loader])

    data = ready(Digits())
    with pretended():
        on_gpu, in_memory = data.train_dataloader(), ready(data, CPU).train_dataloader()
    assert stays(on_gpu, GPU)
    assert stays(in_memory, CPU)
    assert not stays(in_memory, GPU)
