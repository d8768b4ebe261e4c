"""Recurrent network (LSTM, GRU or plain RNN) for sequences and texts."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import Activation, make_dense
from trainer.model.layers.ngram_embedding import NgramEmbedding, validate_ngrams
from trainer.model.layers.sequence_masking import count_tokens, make_length_mask, pool

Cell = Literal["lstm", "gru", "rnn"]
Pooling = Literal["last", "mean", "max"]

CELLS: dict[Cell, Callable[..., nn.Module]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class RecurrentLayer(nn.Module):
    """Recurrent layer in one or two directions; padding is never read before the steps of a sequence.

    The backward direction reads sequences that are reversed without their padding. PyTorch's `pack_padded_sequence`
    gives the same states, but takes four to nine times as long on a CPU.

    Args:
        cell: Kind of the layer of one direction.
        width: Width of the inputs.
        hidden: Width of the state in each direction.
        directions: Number of directions, 1 or 2.
    """

    def __init__(self, cell: Cell, width: int, hidden: int, directions: int) -> None:
        super().__init__()
        self.directions = nn.ModuleList(CELLS[cell](width, hidden, batch_first=True) for _ in range(directions))

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return the states of all steps; those at padding are undefined.

        Shapes:
            inputs: (batch, time, width)
            lengths: (batch,)
            returns: (batch, time, directions * hidden), in order of time
        """
        forward, *backward = self.directions
        states = [forward(inputs)[0]]  # (batch, time, hidden)
        states += [reverse_sequences(layer(reverse_sequences(inputs, lengths))[0], lengths) for layer in backward]
        return torch.cat(states, 2) if backward else states[0]


def reverse_sequences(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each sequence without its padding, which stays at the end.

    Shapes:
        sequences: (batch, time, width)
        lengths: (batch,)
        returns: (batch, time, width)
    """
    batch, time = sequences.shape[:2]
    steps, rows = (torch.arange(size, device=lengths.device) for size in (time, batch))
    order = lengths[:, None] - 1 - steps  # (batch, time)
    order = torch.where(order < 0, order + time, order)  # modulo `time`, which ONNX only supports for constants
    order = order + time * rows[:, None]  # index_select of rows is three times as fast as gather
    return sequences.flatten(0, 1).index_select(0, order.flatten()).view_as(sequences)


class LSTM(nn.Module):
    """Recurrent network for sequences and for texts.

    Args:
        spec: Specification of the data set: sequences (time, features) or tokens.
        embedding: Width of the token vectors; not used for sequences.
        ngrams: Maximum number of words of the n-grams whose vectors are added to the vector of the word at which they
            start; 1 are single words. Only for tokens.
        buckets: Number of rows for n-grams of several words; n-grams in the same row cannot be distinguished. None:
            100,000. Only with `ngrams` above 1.
        cell: Kind of the recurrent layers; `"rnn"` is the plain one, with tanh.
        hidden: Width of the state in each direction.
        layers: Number of recurrent layers.
        bidirectional: Whether sequences are also read backward; the states of both directions are concatenated.
        pooling: Pooling of the states of the top layer, without padding: `"last"` of each direction (the backward one
            at the first step), or `"mean"` or `"max"` over time.
        pool_inputs: Whether the head also reads the mean of the input vectors over time, as a bag of words does.
        dropout: Dropout probability in [0, 1) of the embedding and between recurrent layers, with one mask for all
            steps of a sequence, and before each dense layer.
        word_dropout: Probability in [0, 1) that the whole input vector of a step is dropped.
        head: Widths of the dense layers between the pooled state and the output.
        activation: Activation after each layer of the head.

    Raises:
        UserError: `embedding`, `ngrams`, `buckets`, `hidden` or `layers` is below 1, or `buckets` has no effect.
        MismatchError: `ngrams` is above 1, and the data are not tokens.

    Source:
        Hochreiter and Schmidhuber 1997 (lstm); Cho et al. 2014 (gru); Elman 1990 (rnn); Gal and Ghahramani 2016, A
        theoretically grounded application of dropout in recurrent neural networks; Iyyer et al. 2015, Deep unordered
        composition rivals syntactic methods, for `word_dropout`.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        embedding: int = 128,
        ngrams: int = 1,
        buckets: int | None = None,
        cell: Cell = "lstm",
        hidden: int = 32,
        layers: int = 1,
        bidirectional: bool = False,
        pooling: Pooling = "last",
        pool_inputs: bool = False,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        head: Sequence[int] = (),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        spec.require("lstm", "sequence", "tokens")
        if min(embedding, hidden, layers) < 1:
            raise UserError("model.net.embedding, model.net.hidden and model.net.layers: must be at least 1")
        validate_ngrams(spec, ngrams, buckets)
        self.pooling = pooling
        self.pool_inputs = pool_inputs
        self.hidden = hidden
        directions = 2 if bidirectional else 1
        width = spec.shape[-1]
        if spec.kind == "tokens":
            width = embedding
            self.embedding = NgramEmbedding(spec.vocabulary_size, embedding, ngrams, buckets)
        widths = [width] + [directions * hidden] * (layers - 1)
        self.recurrent = nn.ModuleList(RecurrentLayer(cell, width, hidden, directions) for width in widths)
        self.dropout = nn.Dropout1d(dropout)
        self.word_dropout = nn.Dropout1d(word_dropout)
        pooled_width = directions * hidden + (width if pool_inputs else 0)
        self.head = make_dense([pooled_width, *head, spec.output_size], activation, dropout=dropout)
        if dropout:
            self.head.insert(0, nn.Dropout(dropout))

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the outputs.

        Shapes:
            inputs: (batch, time, features), or tokens (batch, time)
            returns: (batch, output_size)
        """
        if inputs.dim() == 2:
            lengths = count_tokens(inputs)
            states = self._drop(self.word_dropout(self.embedding(inputs)))  # (batch, time, embedding)
        else:
            lengths = inputs.new_full(inputs.shape[:1], inputs.shape[1], dtype=torch.long)
            states = self.word_dropout(inputs)
        input_vectors = states
        for index, layer in enumerate(self.recurrent):
            states = layer(self._drop(states) if index else states, lengths)  # (batch, time, directions * hidden)
        pooled = self._pool(states, lengths)  # (batch, directions * hidden)
        if self.pool_inputs:
            mask = make_length_mask(lengths, states.shape[1])
            pooled = torch.cat([pooled, pool(input_vectors, mask, "mean")], 1)
        return self.head(pooled)

    def _drop(self, states: Tensor) -> Tensor:
        """Drop the same units (batch, time, width) at all steps of a sequence."""
        return self.dropout(states.transpose(1, 2)).transpose(1, 2)

    def _pool(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Reduce the states of each sequence: (batch, time, directions * hidden) -> (batch, directions * hidden)."""
        if self.pooling != "last":
            return pool(states, make_length_mask(lengths, states.shape[1]), self.pooling)
        rows = torch.arange(states.shape[0], device=states.device)
        return torch.cat([states[rows, lengths - 1, : self.hidden], states[:, 0, self.hidden :]], 1)
