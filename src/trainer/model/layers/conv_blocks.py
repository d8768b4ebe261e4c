"""Blocks of convolutions and pooling."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import ACTIVATIONS, Activation
from trainer.model.layers.max_pool import MaxPool2d


def make_conv_blocks(
    spec: DataSpec,
    channels: Sequence[int],
    convolutions: int | Sequence[int],
    kernel_size: int,
    *,
    padding: bool,
    batch_norm: bool,
    activation: Activation,
) -> tuple[list[nn.Module], tuple[int, int, int]]:
    """Return layers for images, and the shape (channels, height, width) of their output.

    A block consists of convolutions, each followed by (batch norm and) activation, with max-pooling by 2 before the
    last activation: the result equals that of the usual order (except for gelu, which is not monotone), with less work.

    Args:
        spec: Specification of the data set: images.
        channels: Output channels of each block.
        convolutions: Number of convolutions per block: one number for all, or a list.
        kernel_size: Side of the square kernels in pixels.
        padding: Whether convolutions keep the image size.
        batch_norm: Whether channels are normalized.
        activation: Activation after each convolution.

    Raises:
        UserError: The images are too small, the lists have different lengths, or `kernel_size` is even with padding.
    """
    if padding and kernel_size % 2 == 0:
        raise UserError(f"model.net.kernel_size: {kernel_size} is even and would change the image's size; use 3 or 5")
    counts = _count_convolutions(channels, convolutions)
    in_channels, height, width = spec.shape
    layers: list[nn.Module] = []
    for index, (out_channels, count) in enumerate(zip(channels, counts, strict=True)):
        removed = 0 if padding else count * (kernel_size - 1)
        height = (height - removed) // 2
        width = (width - removed) // 2
        if min(height, width) < 1:
            raise MismatchError(
                f"model.net.channels: {spec.shape[1]}x{spec.shape[2]} images are too small for {index + 1} blocks; "
                f"use at most {index} for data '{spec.name}'"
            )
        for source, target in pairwise([in_channels, *[out_channels] * count]):
            border = kernel_size // 2 if padding else 0
            layers.append(nn.Conv2d(source, target, kernel_size, padding=border, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(target))
            layers.append(ACTIVATIONS[activation]())
        layers.insert(-1, MaxPool2d())
        in_channels = out_channels
    return layers, (in_channels, height, width)


def _count_convolutions(channels: Sequence[int], convolutions: int | Sequence[int]) -> list[int]:
    counts = [convolutions] * len(channels) if isinstance(convolutions, int) else [*convolutions]
    if len(counts) != len(channels) or min(counts, default=1) < 1:
        raise UserError(f"model.net.convolutions: {convolutions}; expected a number >= 1 for each of {[*channels]}")
    return counts
