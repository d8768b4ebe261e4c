"""Random changes of whole batches of images, vectorised: one draw for each image, no loop over them."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def random_affine(
    images: Tensor, random: Generator, *, degrees: float, shift_pixels: float, scale: float, fill: float
) -> Tensor:
    """Turn, shift and scale each image by its own random amount, with bilinear interpolation.

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
    batch, _, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=random) * 2 - 1  # [-1, 1)

    angle = uniform(batch) * math.radians(degrees)
    size = 1 + uniform(batch) * scale
    # the matrices say where in the old image each place of the new one looks, hence 1 / size; their unit is half an
    # image along each axis, hence the ratios of height and width
    cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
    linear = torch.stack([cosine, -sine * height / width, sine * width / height, cosine], 1).view(batch, 2, 2)
    shift = uniform(batch, 2, 1) * shift_pixels * torch.tensor([[2 / width], [2 / height]])
    matrices = torch.cat([linear, linear @ shift], 2)  # (batch, 2, 3): the shift comes last, so it is as far as asked
    grid = F.affine_grid(matrices.to(images), [*images.shape], align_corners=False)
    return F.grid_sample(images - fill, grid, align_corners=False) + fill
