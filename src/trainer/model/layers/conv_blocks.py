"""Blocks of convolutions and pooling, sized by the data."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import ACTIVATIONS, Activation
from trainer.model.layers.max_pool import MaxPool2d


def convolution_blocks(
    spec: DataSpec,
    channels: Sequence[int],
    convolutions: int | Sequence[int],
    kernel_size: int,
    *,
    padding: bool,
    batch_norm: bool,
    activation: Activation,
) -> tuple[list[nn.Module], tuple[int, int, int]]:
    """Layers for images, and the shape (channels, height, width) that they make of one.

    Each block is convolutions, each with (batch norm and) activation, and max-pool by 2 before the last activation:
    that gives the very same numbers as the usual order, with less work (save for gelu, which is not monotone).

    Args:
        spec: The data set's promise: images.
        channels: Of each block's output.
        convolutions: In each block: one number for all, or a list.
        kernel_size: Side of the square convolutions.
        padding: Whether they keep the size.
        batch_norm: Whether each is normalised.
        activation: After each.

    Raises:
        UserError: The images are too small for so many blocks, the lists have different lengths, or `kernel_size` is
            even where there is padding.
    """
    if padding and kernel_size % 2 == 0:
        raise UserError(f"model.net.kernel_size: {kernel_size} is even and would change the image's size; use 3 or 5")
    last, height, width = spec.shape
    layers: list[nn.Module] = []
    for depth, (after, count) in enumerate(zip(channels, _counts(channels, convolutions), strict=True)):
        lost = 0 if padding else count * (kernel_size - 1)
        height, width = (height - lost) // 2, (width - lost) // 2
        if min(height, width) < 1:
            size = f"{spec.shape[1]}x{spec.shape[2]}"
            raise MismatchError(
                f"model.net.channels: {depth + 1} blocks make {size} images vanish; use at most {depth} for data "
                f"'{spec.name}'"
            )
        for source, target in pairwise([last, *[after] * count]):
            same = kernel_size // 2 if padding else 0
            layers.append(nn.Conv2d(source, target, kernel_size, padding=same, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(target))
            layers.append(ACTIVATIONS[activation]())
        layers.insert(-1, MaxPool2d())
        last = after
    return layers, (last, height, width)


def _counts(channels: Sequence[int], convolutions: int | Sequence[int]) -> list[int]:
    """Number of convolutions in each block."""
    counts = [convolutions] * len(channels) if isinstance(convolutions, int) else [*convolutions]
    if len(counts) != len(channels) or min(counts, default=1) < 1:
        raise UserError(f"model.net.convolutions: {convolutions} is not a number from 1 for each of {[*channels]}")
    return counts
