"""Multi-head attention and transformer blocks."""

from math import sqrt

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.layers.dense import Activation, make_dense
from trainer.model.layers.onednn_linear import Linear


class MultiHeadAttention(nn.Module):
    """Multi-head self-attention: softmax(Q K^T / sqrt(d)) V, with d = width / heads.

    Args:
        width: Width of the vector at each position; a multiple of `heads`.
        heads: Number of attention heads.

    Source:
        Vaswani et al. 2017, Attention is all you need.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj = Linear(width, 3 * width)  # queries, keys and values in one product
        self.out_proj = Linear(width, width)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply attention.

        Shapes:
            states: (batch, time, width)
            mask: (batch, time), False at padding; None without padding
            returns: (batch, time, width)
        """
        queries, keys, values = self._split(states)
        # fused: does not store the (time, time) weights of a batch
        outputs = F.scaled_dot_product_attention(queries, keys, values, attn_mask=_expand_key_mask(mask))
        return self.out_proj(outputs.transpose(1, 2).flatten(2))  # (batch, time, heads * d)

    def attention_weights(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the attention weights (batch, heads, queries, keys); each row sums to 1."""
        queries, keys, _ = self._split(states)
        scores = queries @ keys.transpose(2, 3) / sqrt(queries.shape[3])  # (batch, heads, queries, keys)
        key_mask = _expand_key_mask(mask)
        return (scores if key_mask is None else scores.masked_fill(~key_mask, float("-inf"))).softmax(3)

    def _split(self, states: Tensor) -> tuple[Tensor, ...]:
        """Return queries, keys and values: (batch, heads, time, d) each."""
        parts = self.in_proj(states).chunk(3, 2)  # three of (batch, time, width)
        return tuple(part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)


def _expand_key_mask(mask: Tensor | None) -> Tensor | None:
    """Expand a mask (batch, keys) for all heads and queries: (batch, 1, 1, keys)."""
    return None if mask is None else mask[:, None, None]


class TransformerBlock(nn.Module):
    """Attention, then two dense layers at each position; both normalize their input, and are added to it.

    Args:
        width: Width of the vector at each position.
        heads: Number of attention heads.
        feed_forward: Width between the two dense layers.
        dropout: Dropout probability of the outputs of attention and dense layers, and between the dense layers.
        activation: Activation between the two dense layers.

    Source:
        Vaswani et al. 2017; Xiong et al. 2020, On layer normalization in the transformer architecture (pre-norm).
    """

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float, activation: Activation) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.dense_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)
        self.dense = make_dense([width, feed_forward, width], activation, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Update states (batch, time, width); `mask` as in `MultiHeadAttention`."""
        states = states + self.dropout(self.attention(self.attention_norm(states), mask))
        return states + self.dropout(self.dense(self.dense_norm(states)))
