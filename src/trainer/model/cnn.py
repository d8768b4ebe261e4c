"""Convolutional network: blocks of convolution and pooling, then fully connected layers."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainer.errors import MismatchError, UserError
from trainer.model.layers import ACTIVATIONS, Activation, Initialisation, initialise
from trainer.spec import DataSpec


class CNN(nn.Module):
    """Convolutional network for images of any size.

    Each block is convolution, (batch norm), max-pool by 2, activation. Pooling first gives the very same
    numbers as the usual order, with a quarter of the work (save for gelu, the one that is not monotone).

    Args:
        spec: The data set's promise: images, of any size that survives the pooling.
        channels: Output channels of each block, first to last; each block halves height and width.
        kernel_size: Side of the square convolutions, in pixels; odd, so that the size is kept.
        hidden: Widths of the fully connected layers between the blocks and the output.
        activation: What follows each block and each fully connected layer.
        batch_norm: Normalise each channel over the batch before the activation.
        dropout: Probability, in [0, 1), that a fully connected unit is left out of a training step.
        initialisation: How the weights begin.

    Raises:
        UserError: The images are too small for so many blocks, or `kernel_size` is even.

    Source:
        LeCun et al. 1998, Gradient-based learning applied to document recognition.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: Sequence[int] = (32, 64),
        kernel_size: int = 3,
        hidden: Sequence[int] = (128,),
        activation: Activation = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        initialisation: Initialisation = "default",
    ) -> None:
        super().__init__()
        spec.require("cnn", "image")
        colours, height, width = spec.shape
        depth = len(channels)
        if kernel_size % 2 == 0:
            raise UserError(
                f"model.net.kernel_size: {kernel_size} is even and would change the image's size; use 3 or 5"
            )
        if min(height, width) < 2**depth:
            most = min(height, width).bit_length() - 1
            raise MismatchError(
                f"model.net.channels: {depth} blocks halve {height}x{width} images away; use at most {most} for "
                f"data '{spec.name}'"
            )
        blocks: list[nn.Module] = []
        for before, after in pairwise([colours, *channels]):
            blocks.append(nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2, bias=not batch_norm))
            if batch_norm:
                blocks.append(nn.BatchNorm2d(after))
            blocks += [nn.MaxPool2d(2), ACTIVATIONS[activation]()]
        self.blocks = nn.Sequential(*blocks)
        features = [colours, *channels][-1] * (height >> depth) * (width >> depth)
        head: list[nn.Module] = []
        for before, after in pairwise([features, *hidden]):
            head += [nn.Linear(before, after), ACTIVATIONS[activation]()]
            if dropout:
                head.append(nn.Dropout(dropout))
        self.head = nn.Sequential(*head, nn.Linear([features, *hidden][-1], spec.output_size))
        initialise(self, initialisation)
        self.to(memory_format=torch.channels_last)  # convolutions on the CPU run about twice as fast

    def forward(self, images: Tensor) -> Tensor:
        """Read images.

        Shapes:
            images: (batch, channels, height, width)
            returns: (batch, output_size)
        """
        features = self.blocks(images.contiguous(memory_format=torch.channels_last))
        return self.head(features.flatten(1))  # (batch, output_size)
