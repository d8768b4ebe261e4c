"""Max-pooling that costs little where no gradients are wanted: in a validation, a test, a prediction."""

import torch
from torch import Tensor, nn

from trainer.model.layers.eager_check import is_eager

FEWEST = 2**15  # numbers; with fewer, the calls take as long as what is saved


class MaxPool2d(nn.MaxPool2d):
    """PyTorch's max-pooling by 2, with the same numbers.

    PyTorch's notes where it found each of them, for the gradients, one channel after another; without gradients the
    larger of two rows, and then of two columns, are two calls that go through memory in its order.
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, height // 2, width // 2)."""
        if images.requires_grad or not is_eager(images) or images.numel() < FEWEST:
            return super().forward(images)
        height, width = (size // 2 * 2 for size in images.shape[-2:])
        rows = torch.maximum(images[..., 0:height:2, :], images[..., 1:height:2, :])
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])
