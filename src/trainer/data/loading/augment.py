"""Random changes of whole batches of images, vectorised: one draw for each image, no loop over them."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.data.loading.counter_rng import Draws


def random_affine(
    images: Tensor, random: Draws, *, degrees: float, shift_pixels: float, scale: float, fill: float
) -> Tensor:
    """Turn, shift and scale each image by its own random amount, with bilinear interpolation; all 0: no change.

    Args:
        images: (batch, channels, height, width).
        random: Source of every random number.
        degrees: Largest turn, either way.
        shift_pixels: Largest shift along each axis, either way.
        scale: Largest relative change of size, either way, e.g. 0.1.
        fill: What stands outside an image.

    Returns:
        Tensor like `images`.
    """
    if not (degrees or shift_pixels or scale):
        return images
    batch, _, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return random.uniform(*shape) * 2 - 1  # (batch, *shape), [-1, 1)

    angle = uniform() * math.radians(degrees)
    size = 1 + uniform() * scale
    # the matrices say where in the old image each place of the new one looks, hence 1 / size; their unit is half an
    # image along each axis, hence the ratios of height and width
    cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
    linear = torch.stack([cosine, -sine * height / width, sine * width / height, cosine], 1).view(batch, 2, 2)
    shift = uniform(2, 1) * shift_pixels * torch.tensor([[2 / width], [2 / height]], device=images.device)
    matrices = torch.cat([linear, linear @ shift], 2)  # (batch, 2, 3): the shift comes last, so it is as far as asked
    grid = F.affine_grid(matrices.to(images), [*images.shape], align_corners=False)
    return F.grid_sample(images - fill, grid, align_corners=False) + fill


def random_mirror(images: Tensor, random: Draws) -> Tensor:
    """Turn about half of the images (batch, channels, height, width) left to right, each by its own draw."""
    turned = random.uniform(1, 1, 1) < 0.5
    return torch.where(turned, images.flip(3), images)


def random_crop(images: Tensor, random: Draws, *, shift_pixels: int) -> Tensor:
    """Shift each image by its own number of whole pixels along each axis, without interpolation.

    Args:
        images: (batch, channels, height, width).
        random: Source of every random number.
        shift_pixels: Largest shift along each axis, either way; zeros come in from outside.

    Returns:
        Tensor like `images`.

    Source:
        Crop from the padded image: Lee et al. 2015, Deeply-supervised nets.
    """
    batch, channels, height, width = images.shape
    padded = F.pad(images, [shift_pixels] * 4)
    top, left = (random.uniform(2) * (2 * shift_pixels + 1)).long().T[..., None]  # (batch, 1) each
    rows = (top + torch.arange(height, device=images.device)).view(batch, 1, height, 1)
    columns = (left + torch.arange(width, device=images.device)).view(batch, 1, 1, width)
    each = torch.arange(batch, device=images.device).view(batch, 1, 1, 1)
    every = torch.arange(channels, device=images.device).view(1, channels, 1, 1)
    return padded[each, every, rows, columns]  # (batch, channels, height, width)
