"""Batches of data sets with Pillow images."""

import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.datasets import Datasets, collate


def test_pillow_images_become_tensors():
    image = Image.new("RGB", (3, 2), (255, 0, 51))
    inputs, targets = collate([(image, 1), (image, 0)])
    assert inputs.shape == (2, 3, 2, 3)
    assert inputs[0, :, 0, 0].tolist() == pytest.approx([1, 0, 0.2])
    assert targets.tolist() == [1, 0]
    assert collate([{"image": Image.new("L", (3, 2), 255)}])["image"].tolist() == [[[[1.0] * 3] * 2]]


def test_batches_without_images_are_those_of_pytorch():
    examples = [(torch.arange(3), {"a": [1, 2.5]}, "text")] * 2
    assert str(collate(examples)) == str(default_collate(examples))


def test_images_of_different_sizes_are_an_error():
    examples = [(Image.new("L", (3, 2)), 0), (Image.new("L", (4, 2)), 0)]
    with pytest.raises(UserError, match=r"^images of different sizes .*\n  add to the data set: transform: "):
        collate(examples)


def test_the_error_of_a_worker_process_has_no_traceback():
    images = [(Image.new("L", (3 + index, 2)), 0) for index in range(2)]
    with pytest.raises(UserError, match=r"^images of different sizes [^\n]*\n  add to the data set: [^\n]*$"):
        [*Datasets(train=images, batch_size=2, num_workers=1).train_dataloader()]


def test_data_sets_of_torchvision_are_read():
    datasets = pytest.importorskip("torchvision.datasets", reason="needs torchvision")
    transforms = pytest.importorskip("torchvision.transforms", reason="needs torchvision")
    plain = datasets.FakeData(4, (3, 5, 6))
    transformed = datasets.FakeData(4, (3, 5, 6), transform=transforms.ToTensor())
    data = Datasets(train=plain, val=transformed, batch_size=4, shuffle=False)
    [(inputs, targets)] = data.train_dataloader()
    [(expected_inputs, expected_targets)] = data.val_dataloader()
    assert torch.equal(inputs, expected_inputs)
    assert torch.equal(targets, expected_targets)


def test_a_spec_in_a_config_has_lists():
    spec = DataSpec("my", "image", [3, 5, 6], "classification", 2, ["a", "b"])
    assert (spec.shape, spec.class_names) == ((3, 5, 6), ("a", "b"))
