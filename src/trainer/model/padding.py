"""Texts of unequal length in one batch: which tokens are real, and what is made of the states at those alone."""

from typing import Literal

import torch
from torch import Tensor

from trainer.spec import PADDING

Pooled = Literal["mean", "max"]


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
        return states.mean(1) if how == "mean" else states.amax(1)
    if how == "max":
        return states.masked_fill(~real[..., None], float("-inf")).amax(1)
    weights = real.to(states.dtype) / real.sum(1, keepdim=True)  # (batch, time), each row sums to 1
    return (weights[:, None] @ states).squeeze(1)
