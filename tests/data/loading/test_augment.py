"""Augmentation: turns, shifts and changes of size stay within what was asked, and reach it."""

from math import hypot

import pytest
import torch
from torch import Generator

from trainer.data.loading.augment import random_affine
from trainer.data.loading.counter_rng import Draws

NOTHING = {"degrees": 0.0, "shift_pixels": 0.0, "scale": 0.0, "fill": 0.0}


def changed(images, seed=0, **settings):
    return random_affine(images, Draws(torch.arange(len(images)), seed), **NOTHING | settings)


def dots(row, column, *, height=31, width=31, batch=400):
    """Images with a soft dot there, so that interpolation keeps its centre."""
    rows, columns = torch.arange(height).view(-1, 1), torch.arange(width).view(1, -1)
    dot = torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 4)
    return dot.expand(batch, 1, height, width)


def centres(images):
    """(batch, 2): row and column of each image's centre of mass."""
    _, _, height, width = images.shape
    mass = images.sum((1, 2, 3))
    rows = (images.sum((1, 3)) * torch.arange(height)).sum(1) / mass
    return torch.stack([rows, (images.sum((1, 2)) * torch.arange(width)).sum(1) / mass], 1)


def test_nothing_asked_changes_nothing():
    images = torch.rand(3, 2, 5, 7, generator=Generator().manual_seed(0))
    assert torch.allclose(changed(images), images, atol=1e-5)


def test_shifts_reach_as_far_as_asked_along_each_axis_and_no_further():
    moved = centres(changed(dots(15, 15), shift_pixels=3.0)) - 15
    assert moved.abs().amax() < 3.05
    assert moved.amin(0).amax() < -2.7
    assert moved.amax(0).amin() > 2.7
    assert moved.mean(0).abs().amax() < 0.3


def test_a_pixel_is_a_pixel_on_images_that_are_not_square():
    moved = centres(changed(dots(10, 30, height=21, width=61), shift_pixels=2.0)) - torch.tensor([10, 30])
    assert moved.abs().amax(0).tolist() == pytest.approx([2, 2], abs=0.15)


def test_turns_reach_as_far_as_asked_either_way_and_keep_the_distance():
    turned = centres(changed(dots(15, 25), degrees=30.0)) - 15
    angles = torch.rad2deg(torch.atan2(turned[:, 0], turned[:, 1]))
    assert angles.amax().item() == pytest.approx(30, abs=1)
    assert angles.amin().item() == pytest.approx(-30, abs=1)
    assert (turned.norm(dim=1) - 10).abs().amax() < 0.1


@pytest.mark.parametrize(("height", "width"), [(31, 61), (61, 31)])
def test_turns_keep_the_distance_in_pixels_on_images_that_are_not_square(height, width):
    middle = torch.tensor([height // 2, width // 2])
    turned = centres(changed(dots(height // 2, width // 2 + 10, height=height, width=width), degrees=30.0)) - middle
    angles = torch.rad2deg(torch.atan2(turned[:, 0], turned[:, 1]))
    assert (angles.amin().item(), angles.amax().item()) == pytest.approx((-30, 30), abs=1)
    assert (turned.norm(dim=1) - 10).abs().amax() < 0.1


def test_sizes_change_as_far_as_asked_either_way_and_keep_the_direction():
    sized = centres(changed(dots(21, 23), scale=0.2)) - 15
    factors = sized.norm(dim=1) / hypot(6, 8)
    assert factors.amin().item() == pytest.approx(0.8, abs=0.01)
    assert factors.amax().item() == pytest.approx(1.2, abs=0.01)
    assert (sized[:, 0] / sized[:, 1] - 6 / 8).abs().amax() < 0.02


def test_a_turn_with_a_change_of_size_keeps_right_angles_and_proportions():
    right, below = (centres(changed(dots(*at), degrees=40.0, scale=0.3)) - 15 for at in ((15, 22), (22, 15)))
    assert torch.allclose(right.norm(dim=1), below.norm(dim=1), atol=0.1)
    assert ((right * below).sum(1) / right.norm(dim=1) / below.norm(dim=1)).abs().amax() < 0.02
    assert right.norm(dim=1).std() > 0.5
    assert torch.rad2deg(torch.atan2(right[:, 0], right[:, 1])).abs().amax() < 40.5  # no further than without


def test_what_comes_in_from_outside_is_the_fill():
    images = torch.full((5, 1, 8, 8), -0.4)
    assert torch.allclose(changed(images, degrees=40.0, shift_pixels=4.0, scale=0.3, fill=-0.4), images, atol=1e-6)
    corners = changed(images[:1].expand(400, 1, 8, 8), shift_pixels=4.0, fill=2.0)[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    filled = (corners.amax(1) - 2).abs() < 1e-5  # wherever a shift along either axis is at least a pixel: 15 of 16
    assert filled.float().mean().item() == pytest.approx(15 / 16, abs=0.04)


def test_each_image_has_its_own_change_and_its_channels_move_together():
    images = dots(10, 12, batch=4).expand(4, 3, 31, 31)
    some = changed(images, degrees=20.0, shift_pixels=3.0)
    assert torch.equal(some[:, 0], some[:, 2])
    assert len({tuple(centre) for centre in centres(some).tolist()}) == 4


def test_every_random_number_comes_from_the_generator():
    state = torch.get_rng_state()
    first, again, other = (changed(dots(10, 12, batch=2), seed, shift_pixels=3.0, degrees=9.0) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_images_given_are_left_alone():
    images = torch.rand(2, 1, 8, 8, generator=Generator().manual_seed(0))
    before = images.clone()
    changed(images, degrees=20.0, fill=1.0)
    assert torch.equal(images, before)


def test_the_precision_is_kept():
    assert changed(torch.zeros(2, 1, 8, 8, dtype=torch.float64), degrees=5.0).dtype == torch.float64
