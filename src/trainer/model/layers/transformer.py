"""What a transformer is made of: attention by several heads, and the block around it."""

from math import sqrt

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.layers.dense import Activation, dense
from trainer.model.layers.onednn_linear import Linear


class MultiHeadAttention(nn.Module):
    """Each position gathers values from all positions, by weights of its own: softmax(Q K^T / sqrt(d)) V.

    Every position makes a query, a key and a value. Its weight for another is the softmax, over all keys, of its query
    times that one's key. That is done by several heads side by side, each on its share of the width.

    Args:
        width: Of a position's vector; a multiple of `heads`.
        heads: How many.

    Source:
        Vaswani et al. 2017, Attention is all you need.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = Linear(width, 3 * width)  # queries, keys and values in one product
        self.output = Linear(width, width)

    def forward(self, states: Tensor, real: Tensor | None = None) -> Tensor:
        """Gather.

        Shapes:
            states: (batch, time, width)
            real: (batch, time), which positions may be looked at; None where all may
            returns: (batch, time, width)
        """
        queries, keys, values = self._split(states)
        # PyTorch's own `weights @ values` in one step, which never holds the (time, time) weights of a whole batch
        gathered = F.scaled_dot_product_attention(queries, keys, values, attn_mask=_over_keys(real))
        return self.output(gathered.transpose(1, 2).flatten(2))  # (batch, time, heads * d)

    def weights(self, states: Tensor, real: Tensor | None = None) -> Tensor:
        """How much each query looks at each key, plainly: (batch, heads, queries, keys); each row sums to 1."""
        queries, keys, _ = self._split(states)
        scores = queries @ keys.transpose(2, 3) / sqrt(queries.shape[3])  # (batch, heads, queries, keys)
        mask = _over_keys(real)
        return (scores if mask is None else scores.masked_fill(~mask, float("-inf"))).softmax(3)

    def _split(self, states: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values: (batch, heads, time, d) each, with d = width / heads."""
        parts = self.project(states).chunk(3, 2)  # three of (batch, time, width)
        return tuple(part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)


def _over_keys(real: Tensor | None) -> Tensor | None:
    """(batch, keys) as a mask for all heads and queries: (batch, 1, 1, keys)."""
    return None if real is None else real[:, None, None]


class Block(nn.Module):
    """Attention, then two dense layers at each position; each normalises its input first and is added to it.

    Args:
        width: Of a position's vector.
        heads: Of the attention.
        feed_forward: Width between the two dense layers.
        dropout: Probability that a unit of what is added is left out of a training step.
        activation: Between the two dense layers.

    Source:
        Vaswani et al. 2017; Xiong et al. 2020, On layer normalization in the transformer architecture, for its place.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float, activation: Activation) -> None:
        super().__init__()
        self.before_attention, self.before_dense = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)
        self.dense = dense([width, feed_forward, width], activation, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, real: Tensor | None = None) -> Tensor:
        """Attend, then think: (batch, time, width), and the same returned; `real` as in `MultiHeadAttention`."""
        states = states + self.dropout(self.attention(self.before_attention(states), real))
        return states + self.dropout(self.dense(self.before_dense(states)))
