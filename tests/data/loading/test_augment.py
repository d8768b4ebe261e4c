"""Augmentation amounts reach their limits and do not exceed them."""

from math import hypot

import pytest
import torch
from torch import Generator

from trainer.data.loading.augment import random_affine
from trainer.data.loading.counter_rng import BatchRNG

NO_CHANGE = {"degrees": 0.0, "shift_pixels": 0.0, "scale": 0.0, "fill": 0.0}


def augmented(images, seed=0, **settings):
    return random_affine(images, BatchRNG(torch.arange(len(images)), seed), **NO_CHANGE | settings)


def make_dots(row, column, *, height=31, width=31, batch=400):
    """Return images with a soft dot, so that interpolation keeps its center."""
    rows, columns = torch.arange(height).view(-1, 1), torch.arange(width).view(1, -1)
    dot = torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 4)
    return dot.expand(batch, 1, height, width)


def find_centers(images):
    """Return row and column (batch, 2) of each image's center of mass."""
    _, _, height, width = images.shape
    mass = images.sum((1, 2, 3))
    rows = (images.sum((1, 3)) * torch.arange(height)).sum(1) / mass
    return torch.stack([rows, (images.sum((1, 2)) * torch.arange(width)).sum(1) / mass], 1)


def test_amounts_of_0_change_nothing():
    images = torch.rand(3, 2, 5, 7, generator=Generator().manual_seed(0))
    assert torch.allclose(augmented(images), images, atol=1e-5)


def test_shifts_reach_their_maximum_along_each_axis_and_do_not_exceed_it():
    moved = find_centers(augmented(make_dots(15, 15), shift_pixels=3.0)) - 15
    assert moved.abs().amax() < 3.05
    assert moved.amin(0).amax() < -2.7
    assert moved.amax(0).amin() > 2.7
    assert moved.mean(0).abs().amax() < 0.3


def test_shifts_are_in_pixels_on_images_that_are_not_square():
    moved = find_centers(augmented(make_dots(10, 30, height=21, width=61), shift_pixels=2.0)) - torch.tensor([10, 30])
    assert moved.abs().amax(0).tolist() == pytest.approx([2, 2], abs=0.15)


def test_rotations_reach_their_maximum_and_keep_the_distance():
    rotated = find_centers(augmented(make_dots(15, 25), degrees=30.0)) - 15
    angles = torch.rad2deg(torch.atan2(rotated[:, 0], rotated[:, 1]))
    assert angles.amax().item() == pytest.approx(30, abs=1)
    assert angles.amin().item() == pytest.approx(-30, abs=1)
    assert (rotated.norm(dim=1) - 10).abs().amax() < 0.1


@pytest.mark.parametrize(("height", "width"), [(31, 61), (61, 31)])
def test_rotations_keep_the_distance_in_pixels_on_images_that_are_not_square(height, width):
    middle = torch.tensor([height // 2, width // 2])
    rotated = (
        find_centers(augmented(make_dots(height // 2, width // 2 + 10, height=height, width=width), degrees=30.0))
        - middle
    )
    angles = torch.rad2deg(torch.atan2(rotated[:, 0], rotated[:, 1]))
    assert (angles.amin().item(), angles.amax().item()) == pytest.approx((-30, 30), abs=1)
    assert (rotated.norm(dim=1) - 10).abs().amax() < 0.1


def test_scaling_reaches_its_maximum_and_keeps_the_direction():
    scaled = find_centers(augmented(make_dots(21, 23), scale=0.2)) - 15
    factors = scaled.norm(dim=1) / hypot(6, 8)
    assert factors.amin().item() == pytest.approx(0.8, abs=0.01)
    assert factors.amax().item() == pytest.approx(1.2, abs=0.01)
    assert (scaled[:, 0] / scaled[:, 1] - 6 / 8).abs().amax() < 0.02


def test_rotation_with_scaling_keeps_right_angles_and_proportions():
    horizontal, vertical = (
        find_centers(augmented(make_dots(*position), degrees=40.0, scale=0.3)) - 15 for position in ((15, 22), (22, 15))
    )
    assert torch.allclose(horizontal.norm(dim=1), vertical.norm(dim=1), atol=0.1)
    assert ((horizontal * vertical).sum(1) / horizontal.norm(dim=1) / vertical.norm(dim=1)).abs().amax() < 0.02
    assert horizontal.norm(dim=1).std() > 0.5
    assert (
        torch.rad2deg(torch.atan2(horizontal[:, 0], horizontal[:, 1])).abs().amax() < 40.5
    )  # the same limit as without


def test_pixels_from_outside_have_the_fill_value():
    images = torch.full((5, 1, 8, 8), -0.4)
    assert torch.allclose(augmented(images, degrees=40.0, shift_pixels=4.0, scale=0.3, fill=-0.4), images, atol=1e-6)
    corners = augmented(images[:1].expand(400, 1, 8, 8), shift_pixels=4.0, fill=2.0)[
        :, 0, [0, 0, -1, -1], [0, -1, 0, -1]
    ]
    filled = (corners.amax(1) - 2).abs() < 1e-5  # wherever a shift along either axis is at least a pixel: 15 of 16
    assert filled.float().mean().item() == pytest.approx(15 / 16, abs=0.04)


def test_each_image_is_changed_differently_and_its_channels_equally():
    images = make_dots(10, 12, batch=4).expand(4, 3, 31, 31)
    augmented_images = augmented(images, degrees=20.0, shift_pixels=3.0)
    assert torch.equal(augmented_images[:, 0], augmented_images[:, 2])
    assert len({tuple(center) for center in find_centers(augmented_images).tolist()}) == 4


def test_all_random_numbers_come_from_the_generator():
    state = torch.get_rng_state()
    first, repeated, other = (
        augmented(make_dots(10, 12, batch=2), seed, shift_pixels=3.0, degrees=9.0) for seed in (1, 1, 2)
    )
    assert torch.equal(first, repeated)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_input_is_not_modified():
    images = torch.rand(2, 1, 8, 8, generator=Generator().manual_seed(0))
    original = images.clone()
    augmented(images, degrees=20.0, fill=1.0)
    assert torch.equal(images, original)


def test_the_precision_is_kept():
    assert augmented(torch.zeros(2, 1, 8, 8, dtype=torch.float64), degrees=5.0).dtype == torch.float64
