"""Transforms of torchvision give each image the result that its own seed gives alone."""

import random as python_random

import numpy as np
import pytest
import torch
from torch import Generator
from torchvision.transforms import v2

from trainer.core.errors import UserError
from trainer.data.augmentation.augmentation import parse_augmentation
from trainer.data.augmentation.steps import ImageFormat
from trainer.data.cifar10 import PREPROCESSING
from trainer.data.digits import Digits
from trainer.data.loading.counter_rng import BatchRNG

BYTES = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=Generator().manual_seed(0))
FORMAT = ImageFormat(0.0, PREPROCESSING)
ENTRIES = {
    "color_jitter": ({"color_jitter": {"hue": 0.1}}, v2.ColorJitter(0.4, 0.4, 0.4, 0.1)),
    "rand_augment": ("rand_augment", v2.RandAugment(2, 9)),
    "trivial_augment": ("trivial_augment", v2.TrivialAugmentWide()),
    "a transform": (v2.RandomRotation(30), v2.RandomRotation(30)),
    "floats": (v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.GaussianNoise()]), None),
}


def apply(entry, images, rows):
    return parse_augmentation([entry]).apply(images, BatchRNG(rows, 1, 2), FORMAT)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_image_is_changed_as_by_torchvision_with_the_seed_of_the_example(name):
    entry, transform = ENTRIES[name]
    rows = torch.arange(6) + 3
    changed = apply(entry, PREPROCESSING.prepare(BYTES), rows)
    for image, result, seed in zip(BYTES, changed, BatchRNG(rows, 1, 2).derive_seeds(), strict=True):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            expected = (transform or entry)(image)
        expected = expected if expected.is_floating_point() else expected / 255
        assert torch.allclose(result, PREPROCESSING.prepare(255 * expected[None])[0], atol=1e-5)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_result_depends_neither_on_the_batch_nor_on_global_random_states_which_stay_the_same(name):
    images = PREPROCESSING.prepare(BYTES)
    rows = torch.arange(6)
    states = torch.get_rng_state(), python_random.getstate(), np.random.get_state()[1].tolist()
    whole = apply(ENTRIES[name][0], images, rows)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (python_random.getstate(), np.random.get_state()[1].tolist())
    with torch.random.fork_rng():
        torch.rand(5)
        part = apply(ENTRIES[name][0], images[[4, 1]], rows[[4, 1]])
    assert torch.equal(part, whole[[4, 1]])
    assert not torch.equal(whole, images)


def test_bytes_are_restored_from_prepared_images():
    assert torch.equal(PREPROCESSING.to_bytes(PREPROCESSING.prepare(BYTES)), BYTES)
    levels = torch.arange(17, dtype=torch.uint8).view(1, 1, 17, 1)
    digits = Digits.preprocessing
    restored = digits.from_fractions(digits.to_bytes(digits.prepare(levels)) / 255)
    assert torch.allclose(restored, digits.prepare(levels), atol=0.002)


def test_a_transform_that_changes_the_shape_is_an_error():
    with pytest.raises(UserError, match=r"CenterCrop returns torch.uint8 \(3, 8, 8\); expected .* \(3, 32, 32\)"):
        apply(v2.CenterCrop(8), PREPROCESSING.prepare(BYTES), torch.arange(6))


def test_images_that_are_not_bytes_are_an_error():
    with pytest.raises(UserError, match=r"data\.augmentation: the images are not stored as bytes"):
        parse_augmentation(["color_jitter"]).apply(
            torch.rand(2, 3, 4, 4), BatchRNG(torch.arange(2)), ImageFormat(0, None)
        )
