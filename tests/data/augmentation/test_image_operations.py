"""Random changes of images equal those of torchvision, reach their limits and do not exceed them."""

from math import hypot

import pytest
import torch
from torch import Generator
from torchvision.transforms.v2 import functional as F

from trainer.data.augmentation.image_operations import alternating_flip, cutout, random_affine, random_crop, random_flip
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


def draw(count, *shape, epoch=0):
    """Return the random numbers of the first call of `uniform` in an epoch, and a source of the same numbers."""
    rows = torch.arange(count) + 5
    return BatchRNG(rows, 1, epoch).uniform(*shape), BatchRNG(rows, 1, epoch)


def make_images(count, height=9, width=7):
    return torch.rand(count, 2, height, width, generator=Generator().manual_seed(3))


def test_half_of_the_images_are_flipped():
    images = make_images(400)
    numbers, random = draw(400, 1)
    flipped = random_flip(images, random)
    for image, result, number in zip(images, flipped, numbers, strict=True):
        assert torch.equal(result, F.horizontal_flip(image) if number < 0.5 else image)
    assert 160 < (numbers < 0.5).sum() < 240


def test_an_alternating_flip_shows_each_image_from_both_sides_in_two_epochs():
    images = make_images(400)
    epochs = [alternating_flip(images, BatchRNG(torch.arange(400), 1, epoch)) for epoch in range(4)]
    is_flipped = (epochs[0] != images).flatten(1).any(1)
    assert 160 < is_flipped.sum() < 240
    assert torch.equal(epochs[0], torch.where(is_flipped.view(-1, 1, 1, 1), images.flip(3), images))
    assert torch.equal(epochs[1], epochs[0].flip(3))
    assert torch.equal(epochs[2], epochs[0])
    assert torch.equal(epochs[3], epochs[1])
    other_seed = alternating_flip(images, BatchRNG(torch.arange(400), 2, 0))
    assert not torch.equal(other_seed, epochs[0])


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_a_crop_equals_that_of_torchvision_from_the_padded_image(mode):
    images = make_images(300)
    numbers, random = draw(300, 2)
    cropped = random_crop(images, random, padding=3, mode=mode, fill=0.25 if mode == "constant" else 0.0)
    corners = (numbers * 7).long().tolist()
    padded = F.pad(images, [3], fill=0.25, padding_mode=mode)
    for image, result, (top, left) in zip(padded, cropped, corners, strict=True):
        assert torch.equal(result, F.crop(image, top, left, 9, 7))
    assert {tuple(corner) for corner in corners} == {(top, left) for top in range(7) for left in range(7)}


@pytest.mark.parametrize("size", [3, 4])
def test_a_cutout_equals_erasing_by_torchvision(size):
    images = make_images(200)
    random = BatchRNG(torch.arange(200), 1)
    centers = BatchRNG(torch.arange(200), 1).uniform(2)  # of row and column, drawn one after the other
    covered = cutout(images, random, size=size, fill=0.5)
    is_complete = []
    for image, result, (row, column) in zip(images, covered, centers.tolist(), strict=True):
        top, left = int(row * 9) - size // 2, int(column * 7) - size // 2
        bottom, right = min(top + size, 9), min(left + size, 7)
        top, left = max(top, 0), max(left, 0)
        height, width = bottom - top, right - left
        assert torch.equal(result, F.erase(image, top, left, height, width, torch.tensor(0.5)))
        is_complete.append(height == width == size)
    assert 0 < sum(is_complete) < 200  # some are partly outside
