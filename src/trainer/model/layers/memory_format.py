"""Memory format in which convolutions on the CPU are faster."""

import torch
from torch import Tensor


def to_channels_last(images: Tensor) -> Tensor:
    """Return images (batch, channels, height, width) with adjacent channels in memory; as they are within `vmap`."""
    if torch._C._are_functorch_transforms_active():
        return images
    return images.contiguous(memory_format=torch.channels_last)
