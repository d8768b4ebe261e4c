"""Transformer encoder for texts, sequences and images."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import Activation, make_dense
from trainer.model.layers.ngram_embedding import NgramEmbedding, validate_ngrams
from trainer.model.layers.onednn_linear import Linear
from trainer.model.layers.positional_encoding import PositionalEncoding, PositionalEncodingKind
from trainer.model.layers.sequence_masking import STD, count_tokens, make_length_mask, pool
from trainer.model.layers.transformer import TransformerBlock

Pooling = Literal["mean", "max", "first"]


class SelfAttention(nn.Module):
    """Transformer encoder for texts, sequences and images, which are split into patches.

    Args:
        spec: Specification of the data set: tokens, sequences or images.
        width: Width of the vector at each position; a multiple of `heads`.
        ngrams: Maximum number of words of the n-grams whose vectors are added to the vector of the word at which they
            start; 1 are single words. Only for tokens.
        buckets: Number of rows for n-grams of several words; n-grams in the same row cannot be distinguished. None:
            100,000. Only with `ngrams` above 1.
        heads: Number of attention heads.
        layers: Number of transformer blocks.
        feed_forward: Width of the hidden layer within a block.
        patch_size: Side of the square image patches in pixels.
        positional_encoding: `"sinusoidal"` (fixed), `"learned"` or `"none"`.
        pooling: Pooling of the final states: `"mean"` or `"max"` over all positions except padding, or `"first"`: the
            state of an added first position with a learned vector (often called cls).
        dropout: Dropout probability in [0, 1) of the embedded inputs, of the outputs of attention and dense layers, and
            before each dense layer of the head.
        word_dropout: Probability in [0, 1) that the whole input vector of a position is dropped.
        head: Widths of the dense layers between the pooled state and the output.
        activation: Activation in blocks and head.

    Raises:
        UserError: `heads` does not divide `width`, `ngrams` or `buckets` is below 1, or `buckets` has no effect.
        MismatchError: `patch_size` does not divide the image, or `ngrams` is above 1, and the data are not tokens.

    Source:
        Vaswani et al. 2017; Dosovitskiy et al. 2021, An image is worth 16x16 words, for patches; Iyyer et al. 2015,
        Deep unordered composition rivals syntactic methods, for `word_dropout`.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: int = 64,
        ngrams: int = 1,
        buckets: int | None = None,
        heads: int = 4,
        layers: int = 1,
        feed_forward: int = 128,
        patch_size: int = 4,
        positional_encoding: PositionalEncodingKind = "sinusoidal",
        pooling: Pooling = "mean",
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        head: Sequence[int] = (),
        activation: Activation = "gelu",
    ) -> None:
        super().__init__()
        spec.require("attention", "tokens", "sequence", "image")
        if min(width, heads, layers, feed_forward) < 1:
            raise UserError("model.net: width, heads, layers and feed_forward must be at least 1")
        if width % heads:
            lower = width // heads * heads
            multiples = f"{lower} or {lower + heads}" if lower else f"{heads}"
            raise UserError(f"model.net.width: {width} is not divisible by heads={heads}; use {multiples}")
        validate_ngrams(spec, ngrams, buckets)
        self.pooling = pooling
        self.patch_size = patch_size
        self.embedding, time = make_embedding(spec, width, patch_size, ngrams, buckets)
        amplitude = STD if spec.kind == "tokens" else 1.0  # token vectors are small
        self.positional_encoding = PositionalEncoding(positional_encoding, time, width, amplitude)
        self.first = nn.Parameter(0.02 * torch.randn(width)) if pooling == "first" else None
        self.dropout = nn.Dropout(dropout)
        self.word_dropout = nn.Dropout1d(word_dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, feed_forward, dropout, activation) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = make_dense([width, *head, spec.output_size], activation, dropout=dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the outputs.

        Shapes:
            inputs: tokens (batch, time), sequences (batch, time, features) or images (batch, channels, height, width)
            returns: (batch, output_size)
        """
        states, mask = self._embed(inputs)  # (batch, time, width)
        for block in self.blocks:
            states = block(states, mask)
        states = self.norm(states)
        pooled = states[:, 0] if self.pooling == "first" else pool(states, mask, self.pooling)  # (batch, width)
        return self.head(pooled)

    def attention_maps(self, inputs: Tensor) -> Tensor:
        """Return the attention weights; each row (query) sums to 1 and is 0 at padding.

        If `pooling` is `"first"`, the added position is the first query and key.

        Shapes:
            inputs: as in `forward`
            returns: (layers, batch, heads, queries, keys)
        """
        states, mask = self._embed(inputs)
        maps = []
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            maps.append(block.attention.attention_weights(block.attention_norm(states), mask))
            states = block(states, mask)
        return torch.stack(maps)

    def _embed(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return vectors (batch, time, width) and a mask (batch, time), False at padding; None without padding."""
        states = self.positional_encoding(self.word_dropout(self.embedding(inputs)))
        mask = None
        if inputs.dim() == 2:
            mask = make_length_mask(count_tokens(inputs), inputs.shape[1])
        if self.first is not None:
            states = torch.cat([self.first.expand(states.shape[0], 1, -1), states], 1)  # (batch, 1 + time, width)
            mask = None if mask is None else F.pad(mask, (1, 0), value=True)
        # attention is faster without a mask; an exported network cannot choose by its inputs
        if mask is not None and not torch.compiler.is_exporting() and mask.all():
            mask = None
        return self.dropout(states), mask


class PatchEmbedding(nn.Conv2d):
    """Linear embedding of square image patches.

    Args:
        channels: Channels of the images.
        width: Width of the vectors.
        side: Side of a patch in pixels.
    """

    def __init__(self, channels: int, width: int, side: int) -> None:
        super().__init__(channels, width, kernel_size=side, stride=side)

    def forward(self, images: Tensor) -> Tensor:
        """Embed the patches row by row: (batch, channels, height, width) -> (batch, patches, vector width)."""
        return super().forward(images).flatten(2).transpose(1, 2)


def make_embedding(
    spec: DataSpec, width: int, patch_size: int, ngrams: int, buckets: int | None
) -> tuple[nn.Module, int]:
    """Return a module that maps inputs to vectors (batch, time, width), and the largest `time`.

    Args:
        spec: Specification of the data set.
        width: Width of the vectors.
        patch_size: Side of the image patches in pixels.
        ngrams: Maximum number of words of an n-gram of tokens.
        buckets: Number of rows for n-grams of several words; None: 100,000.

    Raises:
        MismatchError: `patch_size` does not divide the image.
    """
    if spec.kind == "tokens":
        return NgramEmbedding(spec.vocabulary_size, width, ngrams, buckets), spec.shape[0]
    if spec.kind == "sequence":
        return Linear(spec.shape[1], width), spec.shape[0]
    channels, rows, columns = spec.shape
    sizes = [side for side in range(1, min(rows, columns) + 1) if rows % side == columns % side == 0]
    if patch_size not in sizes:
        raise MismatchError(
            f"model.net.patch_size: {patch_size} does not divide images of {rows}x{columns}; for data '{spec.name}' "
            f"use {', '.join(map(str, sizes))}"
        )
    return PatchEmbedding(channels, width, patch_size), (rows // patch_size) * (columns // patch_size)
