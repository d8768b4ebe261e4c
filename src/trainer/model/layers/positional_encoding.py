"""Positional encoding of vectors, which attention alone treats as a set."""

from typing import Literal

import torch
from torch import Tensor, nn

PositionalEncodingKind = Literal["sinusoidal", "learned", "none"]


class PositionalEncoding(nn.Module):
    """Addition of an encoding of its position to each vector.

    Args:
        kind: `"sinusoidal"` adds fixed vectors, `"learned"` trained ones that are initially near 0, `"none"` nothing.
        time: Largest number of positions.
        width: Width of a vector.
        amplitude: Amplitude of the sinusoidal encoding.

    Source:
        Vaswani et al. 2017 for sinusoidal encodings; Gehring et al. 2017 for learned ones.
    """

    encodings: Tensor | None  # (time, width)

    def __init__(self, kind: PositionalEncodingKind, time: int, width: int, amplitude: float = 1.0) -> None:
        super().__init__()
        if kind == "learned":
            self.encodings = nn.Parameter(0.02 * torch.randn(time, width))
        else:
            encodings = amplitude * make_sinusoidal_encoding(time, width) if kind == "sinusoidal" else None
            self.register_buffer("encodings", encodings, persistent=False)  # fixed, so not part of checkpoints

    def forward(self, vectors: Tensor) -> Tensor:
        """Add the encodings to vectors (batch, at most `time`, width)."""
        return vectors if self.encodings is None else vectors + self.encodings[: vectors.shape[1]]


def make_sinusoidal_encoding(time: int, width: int) -> Tensor:
    """Return sines and cosines (time, width) with wavelengths from 2 pi to 10,000 times that.

    Position p has sin(p / 10000^(2i / width)) at index 2i, and the cosine of the same at 2i + 1.
    """
    rates = 10000.0 ** (-torch.arange(0, width, 2) / width)  # (width / 2, rounded up)
    angles = torch.arange(time)[:, None] * rates  # (time, width / 2)
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]
