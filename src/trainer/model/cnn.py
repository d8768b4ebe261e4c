"""Convolutional network of blocks with convolution and pooling, followed by fully connected layers."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from trainer.core.spec import DataSpec
from trainer.model.layers.conv_blocks import make_conv_blocks
from trainer.model.layers.dense import Activation, Initialization, initialize_weights, make_dense
from trainer.model.layers.memory_format import to_channels_last


class CNN(nn.Module):
    """Convolutional network for images of any size.

    Args:
        spec: Specification of the data set: images.
        channels: Output channels of each block, first to last; each block halves height and width.
        convolutions: Number of convolutions per block: one number for all, or a list.
        kernel_size: Side of the square kernels in pixels; odd if `padding` is true.
        padding: Whether convolutions keep the image size; otherwise each removes `kernel_size` - 1 pixels.
        hidden: Widths of the fully connected layers between the blocks and the output.
        activation: Activation after each convolution and each fully connected layer.
        batch_norm: Whether channels are normalized over the batch before the activation.
        dropout: Dropout probability in [0, 1) after each hidden fully connected layer.
        init: Initialization of the weights.

    Raises:
        UserError: See `make_conv_blocks`.

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
        init: Initialization = "default",
    ) -> None:
        super().__init__()
        spec.require("cnn", "image")
        blocks, shape = make_conv_blocks(
            spec, channels, convolutions, kernel_size, padding=padding, batch_norm=batch_norm, activation=activation
        )
        self.blocks = nn.Sequential(*blocks)
        self.head = make_dense([prod(shape), *hidden, spec.output_size], activation, dropout=dropout)
        initialize_weights(self, init)
        self.to(memory_format=torch.channels_last)  # convolutions on the CPU run about twice as fast

    def forward(self, images: Tensor) -> Tensor:
        """Compute the outputs.

        Shapes:
            images: (batch, channels, height, width)
            returns: (batch, output_size)
        """
        features = self.blocks(to_channels_last(images))
        return self.head(features.flatten(1))  # (batch, output_size)
