"""Vectorized random augmentation of image batches."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.data.loading.counter_rng import BatchRNG


def random_affine(
    images: Tensor, random: BatchRNG, *, degrees: float, shift_pixels: float, scale: float, fill: float
) -> Tensor:
    """Rotate, shift and scale each image by its own random amount, with bilinear interpolation.

    Args:
        images: Images (batch, channels, height, width); returned unchanged if all amounts are 0.
        random: Source of all random numbers.
        degrees: Maximum rotation, in either direction.
        shift_pixels: Maximum shift along each axis, in either direction.
        scale: Maximum relative change of size, in either direction, e.g. 0.1.
        fill: Value of pixels outside the image.
    """
    if not (degrees or shift_pixels or scale):
        return images
    batch, _, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return random.uniform(*shape) * 2 - 1  # (batch, *shape), [-1, 1)

    angle = uniform() * math.radians(degrees)
    size = 1 + uniform() * scale
    # The matrices map output to input coordinates, hence 1 / size. Their unit is half an image along each axis, hence
    # the ratios of height and width.
    cosine = torch.cos(angle) / size
    sine = torch.sin(angle) / size
    linear = torch.stack([cosine, -sine * height / width, sine * width / height, cosine], 1).view(batch, 2, 2)
    shift = uniform(2, 1) * shift_pixels * torch.tensor([[2 / width], [2 / height]], device=images.device)
    matrices = torch.cat([linear, linear @ shift], 2)  # (batch, 2, 3); shifting last, so that the maximum holds
    grid = F.affine_grid(matrices.to(images), [*images.shape], align_corners=False)
    return F.grid_sample(images - fill, grid, align_corners=False) + fill


def random_horizontal_flip(images: Tensor, random: BatchRNG) -> Tensor:
    """Flip each image (batch, channels, height, width) left to right with probability 0.5."""
    is_flipped = random.uniform(1, 1, 1) < 0.5
    return torch.where(is_flipped, images.flip(3), images)


def random_crop(images: Tensor, random: BatchRNG, *, shift_pixels: int) -> Tensor:
    """Shift each image by a random number of whole pixels along each axis, without interpolation.

    Args:
        images: Images (batch, channels, height, width).
        random: Source of all random numbers.
        shift_pixels: Maximum shift along each axis, in either direction; new pixels are 0.

    Source:
        Crop from the padded image: Lee et al. 2015, Deeply-supervised nets.
    """
    batch, channels, height, width = images.shape
    padded = F.pad(images, [shift_pixels] * 4)
    tops, lefts = (random.uniform(2) * (2 * shift_pixels + 1)).long().T[..., None]  # (batch, 1) each
    rows = (tops + torch.arange(height, device=images.device)).view(batch, 1, height, 1)
    columns = (lefts + torch.arange(width, device=images.device)).view(batch, 1, 1, width)
    image_indices = torch.arange(batch, device=images.device).view(batch, 1, 1, 1)
    channel_indices = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[image_indices, channel_indices, rows, columns]  # (batch, channels, height, width)
