"""Texts of unequal length in one batch: vectors of tokens, which of them are real, and what is made of those alone."""

from typing import Literal

import torch
from torch import Tensor, nn

from trainer.core.spec import PADDING

Pooled = Literal["mean", "max"]

# Of the random vectors of tokens. PyTorch's own is 1, beside which the few small steps that a rare word gets are lost
DEVIATION = 0.05


def token_vectors(vocabulary_size: int, width: int) -> nn.Embedding:
    """A small random vector for each token; padding has zeros, and keeps them."""
    embedding = nn.Embedding(vocabulary_size, width, padding_idx=PADDING)
    with torch.no_grad():
        embedding.weight *= DEVIATION
    return embedding


def lengths_of(tokens: Tensor) -> Tensor:
    """How many tokens each text has: (batch, time) -> (batch,). An empty one counts as one token of padding."""
    return (tokens != PADDING).sum(1).clamp(min=1)


def real_steps(lengths: Tensor, time: int) -> Tensor:
    """Which of `time` steps are real and which padding: (batch,) -> (batch, time)."""
    return torch.arange(time, device=lengths.device) < lengths[:, None]


def pool(states: Tensor, real: Tensor | None, how: Pooled) -> Tensor:
    """The mean or the greatest of the states at real steps.

    Shapes:
        states: (batch, time, width)
        real: (batch, time), at least one in each row; None where all are
        returns: (batch, width)
    """
    if real is None:
        return states.mean(1) if how == "mean" else states.max(1).values  # amax takes twice as long backwards
    if how == "max":
        never = torch.zeros_like(real, dtype=states.dtype).masked_fill(~real, float("-inf"))  # (batch, time)
        return (states + never[..., None]).max(1).values
    weights = real.to(states.dtype) / real.sum(1, keepdim=True)  # (batch, time), each row sums to 1
    return (weights[:, None] @ states).squeeze(1)
