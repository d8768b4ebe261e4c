"""Token embedding, masking and pooling for texts of different lengths in one batch."""

from typing import Literal

import torch
from torch import Tensor, nn

from trainer.core.spec import PADDING_INDEX

Pooling = Literal["mean", "max"]

# standard deviation of the initial token vectors; with PyTorch's 1 the few small steps of a rare word have no effect
STD = 0.05


def make_token_embedding(vocabulary_size: int, width: int) -> nn.Embedding:
    """Return an embedding with small random vectors; the vector of padding is always 0."""
    embedding = nn.Embedding(vocabulary_size, width, padding_idx=PADDING_INDEX)
    with torch.no_grad():
        embedding.weight *= STD
    return embedding


def count_tokens(tokens: Tensor) -> Tensor:
    """Return the number of tokens of each text, at least 1: (batch, time) -> (batch,)."""
    return (tokens != PADDING_INDEX).sum(1).clamp(min=1)


def make_length_mask(lengths: Tensor, time: int) -> Tensor:
    """Return a mask of `time` steps that is False at padding: (batch,) -> (batch, time)."""
    return torch.arange(time, device=lengths.device) < lengths[:, None]


def pool(states: Tensor, mask: Tensor | None, pooling: Pooling) -> Tensor:
    """Return the mean or the maximum of the states over all steps except padding.

    Shapes:
        states: (batch, time, width)
        mask: (batch, time), False at padding; None without padding
        returns: (batch, width)
    """
    if mask is None:
        return states.mean(1) if pooling == "mean" else states.max(1).values  # the backward pass of amax is slower
    if pooling == "max":
        bias = torch.zeros_like(mask, dtype=states.dtype).masked_fill(~mask, float("-inf"))  # (batch, time)
        return (states + bias[..., None]).max(1).values
    weights = mask.to(states.dtype) / mask.sum(1, keepdim=True)  # (batch, time), each row sums to 1
    return (weights[:, None] @ states).squeeze(1)
