"""Convolutional network: blocks of convolution and pooling, then fully connected layers."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from trainer.core.spec import DataSpec
from trainer.model.layers.conv_blocks import convolution_blocks
from trainer.model.layers.dense import Activation, Initialisation, dense, initialise


class CNN(nn.Module):
    """Convolutional network for images of any size.

    Args:
        spec: The data set's promise: images, of any size that survives the pooling.
        channels: Output channels of each block, first to last; each block halves height and width.
        convolutions: How many each block has: one number for all, or a list.
        kernel_size: Side of the square convolutions, in pixels; odd, where they pad.
        padding: Whether zeros around an image keep its size; without, a convolution cuts `kernel_size` - 1 off.
        hidden: Widths of the fully connected layers between the blocks and the output.
        activation: What follows each block and each fully connected layer.
        batch_norm: Normalise each channel over the batch before the activation.
        dropout: Probability, in [0, 1), that a fully connected unit is left out of a training step.
        initialisation: How the weights begin.

    Raises:
        UserError: See `convolution_blocks`.

    Source:
        LeCun et al. 1998, Gradient-based learning applied to document recognition.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: Sequence[int] = (32, 64),
        convolutions: int | Sequence[int] = 1,
        kernel_size: int = 3,
        padding: bool = True,
        hidden: Sequence[int] = (128,),
        activation: Activation = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        initialisation: Initialisation = "default",
    ) -> None:
        super().__init__()
        spec.require("cnn", "image")
        blocks, shape = convolution_blocks(
            spec, channels, convolutions, kernel_size, padding=padding, batch_norm=batch_norm, activation=activation
        )
        self.blocks = nn.Sequential(*blocks)
        self.head = dense([prod(shape), *hidden, spec.output_size], activation, dropout=dropout)
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
