"""Where a vector stands: attention itself sees a set, so each vector is told its place by what is added to it."""

from typing import Literal

import torch
from torch import Tensor, nn

Positions = Literal["sinusoidal", "learned", "none"]


class AddPositions(nn.Module):
    """Add to each vector what stands for its place.

    Args:
        how: `"sinusoidal"` adds fixed waves, `"learned"` vectors that begin near 0, `"none"` nothing.
        time: Number of places at most.
        width: Of a vector.
        strength: Height of the waves.

    Source:
        Vaswani et al. 2017 for the waves; Gehring et al. 2017 for learned ones.
    """

    places: Tensor | None  # (time, width)

    def __init__(self, how: Positions, time: int, width: int, strength: float = 1.0) -> None:
        super().__init__()
        if how == "learned":
            self.places = nn.Parameter(0.02 * torch.randn(time, width))
        else:
            waves = strength * sinusoidal(time, width) if how == "sinusoidal" else None
            self.register_buffer("places", waves, persistent=False)  # worked out, so no part of a checkpoint

    def forward(self, vectors: Tensor) -> Tensor:
        """Add: (batch, at most `time`, width), and the same shape returned."""
        return vectors if self.places is None else vectors + self.places[: vectors.shape[1]]


def sinusoidal(time: int, width: int) -> Tensor:
    """Sines and cosines of the place, with wavelengths from 2 pi to 10,000 times that: (time, width).

    Place p has sin(p / 10000^(2i / width)) at 2i and the cosine of the same at 2i + 1.
    """
    rates = 10000.0 ** (-torch.arange(0, width, 2) / width)  # (width / 2, rounded up)
    angles = torch.arange(time)[:, None] * rates  # (time, width / 2)
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]
