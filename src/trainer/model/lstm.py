"""Recurrent network: LSTM, GRU or plain RNN cells read a sequence, or the words of a text, step by step."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import Activation, dense
from trainer.model.layers.sequence_masking import lengths_of, pool, real_steps, token_vectors

Cell = Literal["lstm", "gru", "rnn"]
Pooled = Literal["last", "mean", "max"]

CELLS: dict[Cell, Callable[..., nn.Module]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """One recurrent layer, in one direction or in both, each of which begins with the first step that is real to it.

    Both directions read forwards, the second one sequences turned around without their padding. PyTorch's own way,
    `pack_padded_sequence`, gives the same states; on a CPU it takes four to nine times as long.

    Args:
        cell: Makes the layer of one direction.
        width: Of the inputs.
        hidden: Of the state, in each direction.
        directions: 1 or 2.
    """

    def __init__(self, cell: Cell, width: int, hidden: int, directions: int) -> None:
        super().__init__()
        self.directions = nn.ModuleList(CELLS[cell](width, hidden, batch_first=True) for _ in range(directions))

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Read sequences; the states behind a sequence's end mean nothing.

        Shapes:
            inputs: (batch, time, width)
            lengths: (batch,)
            returns: (batch, time, directions * hidden), in order of time
        """
        forwards, *backwards = self.directions
        states = [forwards(inputs)[0]]  # (batch, time, hidden)
        states += [turned(layer(turned(inputs, lengths))[0], lengths) for layer in backwards]
        return torch.cat(states, 2) if backwards else states[0]


def turned(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence from its last step to its first, and its padding behind it as before.

    Shapes:
        sequences: (batch, time, width)
        lengths: (batch,)
        returns: (batch, time, width)
    """
    batch, time = sequences.shape[:2]
    steps, rows = (torch.arange(size, device=lengths.device) for size in (time, batch))
    order = lengths[:, None] - 1 - steps  # (batch, time)
    order = torch.where(order < 0, order + time, order)  # modulo `time`, which ONNX can only take of a constant
    order = order + time * rows[:, None]  # whole vectors are picked three times as fast as `gather` picks numbers
    return sequences.flatten(0, 1).index_select(0, order.flatten()).view_as(sequences)


class LSTM(nn.Module):
    """Recurrent network for sequences and for texts.

    Args:
        spec: The data set's promise: sequences (time, features) of any length, or tokens.
        embedding: Width of the vector that stands for a token; sequences have none.
        cell: What a layer is made of; `"rnn"` is the plain one, with tanh.
        hidden: Width of the state, in each direction.
        layers: Recurrent layers, one upon the other.
        bidirectional: Read from the end to the beginning as well; both states stand side by side.
        pooled: What is made of the top layer's states: each direction's `"last"` (the backward one's is at the
            first step), or their `"mean"` or `"max"` over time. Padding has no part in any of them.
        dropout: Probability, in [0, 1), that a unit is left out of a training step: of the embedding and between
            recurrent layers, each for a whole sequence, and before each dense layer.
        head: Widths of dense layers between the pooled state and the output.
        activation: What follows each layer of the head.

    Raises:
        UserError: `embedding`, `hidden` or `layers` is below 1.

    Source:
        Hochreiter and Schmidhuber 1997 (lstm); Cho et al. 2014 (gru); Elman 1990 (rnn); Gal and Ghahramani 2016, A
        theoretically grounded application of dropout in recurrent neural networks.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        embedding: int = 128,
        cell: Cell = "lstm",
        hidden: int = 32,
        layers: int = 1,
        bidirectional: bool = False,
        pooled: Pooled = "last",
        dropout: float = 0.0,
        head: Sequence[int] = (),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        spec.require("lstm", "sequence", "tokens")
        if min(embedding, hidden, layers) < 1:
            raise UserError("model.net.embedding, model.net.hidden and model.net.layers: must be at least 1")
        self.pooled, self.hidden, directions = pooled, hidden, 2 if bidirectional else 1
        width = spec.shape[-1]
        if spec.kind == "tokens":
            width = embedding
            self.embedding = token_vectors(spec.vocabulary_size, embedding)
        widths = [width] + [directions * hidden] * (layers - 1)
        self.recurrent = nn.ModuleList(Recurrent(cell, width, hidden, directions) for width in widths)
        self.dropout = nn.Dropout1d(dropout)
        self.head = dense([directions * hidden, *head, spec.output_size], activation, dropout=dropout)
        if dropout:
            self.head.insert(0, nn.Dropout(dropout))

    def forward(self, inputs: Tensor) -> Tensor:
        """Read sequences or texts.

        Shapes:
            inputs: (batch, time, features), or tokens (batch, time)
            returns: (batch, output_size)
        """
        if inputs.dim() == 2:
            lengths, states = lengths_of(inputs), self._drop(self.embedding(inputs))  # (batch, time, embedding)
        else:
            lengths, states = inputs.new_full(inputs.shape[:1], inputs.shape[1], dtype=torch.long), inputs
        for place, layer in enumerate(self.recurrent):
            states = layer(self._drop(states) if place else states, lengths)  # (batch, time, directions * hidden)
        return self.head(self._pool(states, lengths))

    def _drop(self, states: Tensor) -> Tensor:
        """The same units at all steps of a sequence: (batch, time, width), and the same shape returned."""
        return self.dropout(states.transpose(1, 2)).transpose(1, 2)

    def _pool(self, states: Tensor, lengths: Tensor) -> Tensor:
        """One vector a sequence: (batch, time, directions * hidden) -> (batch, directions * hidden)."""
        if self.pooled != "last":
            return pool(states, real_steps(lengths, states.shape[1]), self.pooled)
        rows = torch.arange(states.shape[0], device=states.device)
        return torch.cat([states[rows, lengths - 1, : self.hidden], states[:, 0, self.hidden :]], 1)
