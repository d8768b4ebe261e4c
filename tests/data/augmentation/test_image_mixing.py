"""Mixed batches equal those of torchvision."""

import numpy as np
import pytest
import torch
from torch import Generator
from torchvision.transforms import v2

from trainer.data.augmentation.augmentation import parse_augmentation
from trainer.data.augmentation.image_mixing import cut_mix, draw_fraction, mix_up, to_probabilities

TARGETS = torch.tensor([3, 0, 1, 3, 2])
IMAGES = torch.rand(5, 3, 8, 6, generator=Generator().manual_seed(0))


def mix_by_torchvision(transform, **parameters):
    """Return a batch of torchvision, which takes probabilities as well."""
    pair = v2.functional.to_image(IMAGES), TARGETS
    parameters |= {"batch_size": 5, "labels": TARGETS}
    return [transform.transform(part, parameters) for part in pair]


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_mixup_equals_that_of_torchvision(fraction):
    images, targets = mix_up(IMAGES, to_probabilities(TARGETS, 4), fraction)
    expected_images, expected_targets = mix_by_torchvision(v2.MixUp(num_classes=4), lam=fraction)
    assert torch.allclose(images, expected_images, atol=1e-7)
    assert torch.allclose(targets, expected_targets, atol=1e-7)
    assert targets.sum(1).tolist() == pytest.approx([1] * 5)


@pytest.mark.parametrize(
    ("fraction", "center"), [(0.3, (0.5, 0.5)), (0.6, (0.99, 0.01)), (0.0, (0.2, 0.7)), (1, (0, 0))]
)
def test_cutmix_equals_that_of_torchvision(fraction, center):
    images, targets = cut_mix(IMAGES, to_probabilities(TARGETS, 4), fraction, center)
    row, column = int(center[0] * 8), int(center[1] * 6)
    half_height, half_width = (int(0.5 * (1 - fraction) ** 0.5 * size) for size in (8, 6))
    left, right = max(0, column - half_width), min(6, column + half_width)
    top, bottom = max(0, row - half_height), min(8, row + half_height)
    kept = 1 - (right - left) * (bottom - top) / 48
    transform = v2.CutMix(num_classes=4)
    expected_images, expected_targets = mix_by_torchvision(transform, box=(left, top, right, bottom), lam_adjusted=kept)
    assert torch.equal(images, expected_images)
    assert torch.allclose(targets, expected_targets, atol=1e-7)


def test_two_classes_have_the_probability_of_the_second():
    _, targets = mix_up(IMAGES, to_probabilities(torch.tensor([1, 0, 1, 1, 0]), 1), 0.75)
    assert targets.tolist() == [0.75, 0.25, 0.75, 1.0, 0.25]


def test_fractions_have_a_symmetric_beta_distribution():
    random = np.random.default_rng(0)
    fractions = np.array([draw_fraction(random, 0.2) for _ in range(4000)])
    assert fractions.mean() == pytest.approx(0.5, abs=0.03)
    assert fractions.var() == pytest.approx(1 / (4 * (2 * 0.2 + 1)), abs=0.01)


def test_one_of_several_combinations_is_drawn_for_each_batch():
    augmentation = parse_augmentation(["mixup", "cutmix"])
    random = np.random.default_rng(0)
    is_mixup = []
    for _ in range(60):
        images, _ = augmentation.mix(IMAGES, TARGETS, random, 4)
        is_mixup.append(not torch.isin(images, IMAGES).all())
    assert 15 < sum(is_mixup) < 45
