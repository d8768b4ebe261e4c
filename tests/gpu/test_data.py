"""Data on a simulated GPU, which stores the examples and creates the batches where possible."""

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
from trainer.training.loop.hook_dispatch import is_batch_in_place

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
AFFINE = {"affine": {"degrees": 5.0, "shift_pixels": 1.0, "scale": 0.1}}
SETS = {
    "xor": lambda: XOR(batch_size=4),
    "threshold": lambda: Threshold(batch_size=4),
    "line": Line,
    "digits": Digits,
    "mnist": lambda: MNIST(synthetic=True, augmentation=[AFFINE]),
    "cifar10": lambda: CIFAR10(synthetic=True, augmentation=["flip", "crop", "alternating_flip", "cutout"]),
    "table": lambda: Table(path="", target=-1, features=8, synthetic=True),
    "stock": lambda: Stock(synthetic=True),
    "image_folder": lambda: ImageFolder(
        path="", size=32, synthetic=True, augmentation=["flip", AFFINE, "mixup", "cutmix"]
    ),
}


class CpuAugmentation(Digits):
    def augment(self, inputs, random):
        return inputs + torch.ones(inputs.shape[1:])


def set_up(data, device=GPU):
    """Return a data set after its setup, for a trainer with a network on a device."""
    data.setup("fit")
    strategy = SimpleNamespace(root_device=device)
    data.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1, num_devices=1)
    return data


def loaders(data):
    return [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]


def are_equal(gpu_batches, cpu_batches):
    """Return True if the batches of a loader on the GPU have the values of those on the CPU."""
    pairs = [*zip(gpu_batches, cpu_batches, strict=True)]
    assert {part.device for batch, _ in pairs for part in batch} == {GPU}
    return all(torch.equal(a.cpu(), b) for batches in pairs for a, b in zip(*batches, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_the_gpu_stores_the_examples_and_creates_batches_without_a_wait(name, gpu):
    gpu_loaders = loaders(set_up(SETS[name]()))
    cpu_loaders = loaders(set_up(SETS[name](), CPU))
    for loader, other in zip(gpu_loaders, cpu_loaders, strict=True):
        assert loader.device == loader.targets.device == GPU
        assert loader.inputs.device == (CPU if loader.read else GPU)
        gpu.clear()
        batches = [*loader]
        assert not gpu
        assert are_equal(batches, other)


def test_images_are_converted_and_augmented_on_the_gpu(tmp_path, gpu):
    for split, number in itertools.product(("train", "val", "test"), range(6)):
        directory = tmp_path / split / "ab"[number % 2]
        directory.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(directory / f"{number}.png")

    def image_loaders(device):
        data = ImageFolder(path=str(tmp_path), size=8, augmentation=["flip", AFFINE], workers=0, batch_size=2)
        return loaders(set_up(data, device))

    assert all(are_equal(*pair) for pair in zip(image_loaders(GPU), image_loaders(CPU), strict=True))


def test_texts_stay_in_memory_because_each_batch_is_cut_to_its_longest(gpu):
    assert {loader.device for loader in loaders(set_up(IMDB(synthetic=True)))} == {CPU}


def test_many_batches_are_created_at_once(monkeypatch, gpu):
    sizes = []
    monkeypatch.setattr(Digits, "prepare", lambda self, inputs: sizes.append(len(inputs)) or inputs.float())
    loader = set_up(Digits(batch_size=8)).train_dataloader()
    sizes.clear()
    assert len([*loader]) == len(loader) > 1
    assert sizes == [len(loader.targets)]


def test_batches_that_cannot_be_created_on_the_gpu_are_copied_with_a_message(caplog, gpu):
    data = set_up(CpuAugmentation())
    with caplog.at_level(logging.INFO, "trainer"):
        assert [loader.device for loader in loaders(data)] == [CPU, GPU, GPU]
    [message] = [record.message for record in caplog.records]
    assert message.startswith(
        "examples stay in memory and are copied to the GPU batch by batch: their batches cannot be created there"
    )
    assert "two devices" in message


def test_data_larger_than_the_free_gpu_memory_stays_in_memory(caplog, monkeypatch, gpu):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**20, 2**34))
    data = set_up(MNIST(synthetic=True))
    with caplog.at_level(logging.INFO, "trainer"):
        assert data.train_dataloader().device == CPU
    assert "MiB, and 1 MiB are free there" in caplog.text


def test_a_batch_on_the_gpu_is_not_transferred(gpu):
    def is_in_place(loader, device):
        strategy = SimpleNamespace(root_device=device)
        trainer = SimpleNamespace(lightning_module=LightningModule(), datamodule=None, strategy=strategy)
        return is_batch_in_place(trainer, [loader])

    on_gpu, in_memory = (set_up(Digits(), device).train_dataloader() for device in (GPU, CPU))
    assert is_in_place(on_gpu, GPU)
    assert is_in_place(in_memory, CPU)
    assert not is_in_place(in_memory, GPU)
