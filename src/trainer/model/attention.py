"""Self-attention: every word of a text, day of a series or patch of an image looks at all the others."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import Activation, dense
from trainer.model.layers.onednn_linear import Linear
from trainer.model.layers.positional_encoding import AddPositions, Positions
from trainer.model.layers.sequence_masking import DEVIATION, lengths_of, pool, real_steps, token_vectors
from trainer.model.layers.transformer import Block

Pooled = Literal["mean", "max", "first"]


class SelfAttention(nn.Module):
    """Transformer encoder for texts, sequences and images, which it reads as patches.

    Args:
        spec: The data set's promise: tokens, sequences or images.
        width: Of the vector at each position; a multiple of `heads`.
        heads: Attentions side by side in each block.
        layers: Blocks, one upon the other.
        feed_forward: Width of the hidden layer within a block.
        patch_size: Side of the square patches that an image is cut into, in pixels; for images alone.
        positions: How a vector is told its place: fixed `"sinusoidal"` waves, `"learned"` ones, or `"none"`.
        pooled: What is made of the last states: `"mean"` or `"max"` over all real positions, or the state of one more
            position that stands `"first"` and is learned (often called cls).
        dropout: Probability, in [0, 1), that a unit is left out of a training step: of the first vectors, of
            what each block adds, and before each dense layer of the head.
        word_dropout: Probability, in [0, 1), that the whole vector of a position is left out of a training step.
        head: Widths of dense layers between the pooled state and the output.
        activation: In blocks and head.

    Raises:
        UserError: `heads` does not divide `width`.
        MismatchError: `patch_size` does not divide the image; says which sizes do.

    Source:
        Vaswani et al. 2017; Dosovitskiy et al. 2021, An image is worth 16x16 words, for patches; Iyyer et al. 2015,
        Deep unordered composition rivals syntactic methods, for `word_dropout`.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: int = 64,
        heads: int = 4,
        layers: int = 1,
        feed_forward: int = 128,
        patch_size: int = 4,
        positions: Positions = "sinusoidal",
        pooled: Pooled = "mean",
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
            below = width // heads * heads
            near = f"{below} or {below + heads}" if below else f"{heads}"
            raise UserError(f"model.net.width: {width} cannot be shared evenly by heads={heads}; use {near}")
        self.pooled, self.patch_size = pooled, patch_size
        self.embedding, time = vectors_of(spec, width, patch_size)
        strength = (
            DEVIATION if spec.kind == "tokens" else 1.0
        )  # waves of height 1 would drown the small vectors of tokens
        self.positions = AddPositions(positions, time, width, strength)
        self.first = nn.Parameter(0.02 * torch.randn(width)) if pooled == "first" else None
        self.dropout, self.word_dropout = nn.Dropout(dropout), nn.Dropout1d(word_dropout)
        self.blocks = nn.ModuleList(Block(width, heads, feed_forward, dropout, activation) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = dense([width, *head, spec.output_size], activation, dropout=dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Read texts, sequences or images.

        Shapes:
            inputs: tokens (batch, time), sequences (batch, time, features) or images (batch, channels, height, width)
            returns: (batch, output_size)
        """
        states, real = self._begin(inputs)  # (batch, time, width)
        for block in self.blocks:
            states = block(states, real)
        states = self.norm(states)
        pooled = states[:, 0] if self.pooled == "first" else pool(states, real, self.pooled)  # (batch, width)
        return self.head(pooled)

    def attention_maps(self, inputs: Tensor) -> Tensor:
        """How much each position looks at each other: a row for each query, which sums to 1, and is 0 at padding.

        Where `pooled` is `"first"`, the position that is added stands first among queries and keys.

        Shapes:
            inputs: As in `forward`.
            returns: (layers, batch, heads, queries, keys)
        """
        states, real = self._begin(inputs)
        maps = []
        for block in self.blocks:
            assert isinstance(block, Block)
            maps.append(block.attention.weights(block.before_attention(states), real))
            states = block(states, real)
        return torch.stack(maps)

    def _begin(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """The first vectors (batch, time, width), and which are real (batch, time): None where all are."""
        states = self.positions(self.word_dropout(self.embedding(inputs)))
        real = None
        if inputs.dim() == 2:
            real = real_steps(lengths_of(inputs), inputs.shape[1])
        if self.first is not None:
            states = torch.cat([self.first.expand(states.shape[0], 1, -1), states], 1)  # (batch, 1 + time, width)
            real = None if real is None else F.pad(real, (1, 0), value=True)
        # without a mask attention is faster; in an exported network, inputs do not decide which way is taken
        plain = real is None or (not torch.compiler.is_exporting() and bool(real.all()))
        return self.dropout(states), None if plain else real


class Patches(nn.Conv2d):
    """Cut images into square patches and make a vector of each by one linear layer.

    Args:
        channels: Of the images.
        width: Of the vectors.
        side: Of a patch, in pixels.
    """

    def __init__(self, channels: int, width: int, side: int) -> None:
        super().__init__(channels, width, kernel_size=side, stride=side)

    def forward(self, images: Tensor) -> Tensor:
        """Cut, row by row: (batch, channels, height, width) -> (batch, patches, width of a vector)."""
        return super().forward(images).flatten(2).transpose(1, 2)


def vectors_of(spec: DataSpec, width: int, patch_size: int) -> tuple[nn.Module, int]:
    """What makes vectors (batch, time, width) of the inputs, and how many they are at most.

    Args:
        spec: The data set's promise.
        width: Of a vector.
        patch_size: Side of an image's patches.

    Raises:
        MismatchError: It does not divide the image.
    """
    if spec.kind == "tokens":
        return token_vectors(spec.vocabulary_size, width), spec.shape[0]
    if spec.kind == "sequence":
        return Linear(spec.shape[1], width), spec.shape[0]
    channels, height, across = spec.shape
    fitting = [side for side in range(1, min(height, across) + 1) if height % side == across % side == 0]
    if patch_size not in fitting:
        raise MismatchError(
            f"model.net.patch_size: {patch_size} does not divide images of {height}x{across}; for data '{spec.name}' "
            f"use {', '.join(map(str, fitting))}"
        )
    return Patches(channels, width, patch_size), (height // patch_size) * (across // patch_size)
