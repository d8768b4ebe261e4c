"""Recurrent network: LSTM, GRU or plain RNN cells read a sequence step by step."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from trainer.errors import UserError
from trainer.model.layers import Activation, dense
from trainer.spec import DataSpec

Cell = Literal["lstm", "gru", "rnn"]
Pooled = Literal["last", "mean", "max"]

CELLS: dict[Cell, Callable[..., nn.Module]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class LSTM(nn.Module):
    """Recurrent network for sequences.

    Args:
        spec: The data set's promise: sequences (time, features) of any length.
        cell: What a layer is made of; `"rnn"` is the plain one, with tanh.
        hidden: Width of the state, in each direction.
        layers: Recurrent layers, one upon the other.
        bidirectional: Read from the end to the beginning as well; both states stand side by side.
        pooled: What is made of the top layer's states: each direction's `"last"` (the backward one's is at the
            first step), or their `"mean"` or `"max"` over time.
        dropout: Probability, in [0, 1), that a unit is left out of a training step: between recurrent layers, and
            before each dense one.
        head: Widths of dense layers between the pooled state and the output.
        activation: What follows each layer of the head.

    Raises:
        UserError: `hidden` or `layers` is below 1.

    Source:
        Hochreiter and Schmidhuber 1997 (lstm); Cho et al. 2014 (gru); Elman 1990 (rnn).
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
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
        spec.require("lstm", "sequence")
        if hidden < 1 or layers < 1:
            raise UserError("model.net.hidden and model.net.layers: must be at least 1")
        self.pooled, self.directions = pooled, 2 if bidirectional else 1
        self.recurrent = CELLS[cell](
            spec.shape[-1],
            hidden,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,  # PyTorch warns where there is no "between"
            bidirectional=bidirectional,
        )
        widths = [hidden * self.directions, *head]
        self.head = dense([*widths, spec.output_size], activation, dropout=dropout)
        if dropout:
            self.head.insert(0, nn.Dropout(dropout))

    def forward(self, inputs: Tensor) -> Tensor:
        """Read sequences.

        Shapes:
            inputs: (batch, time, features)
            returns: (batch, output_size)
        """
        states, last = self.recurrent(inputs)  # states: (batch, time, directions * hidden)
        return self.head(self._pool(states, last[0] if isinstance(last, tuple) else last))

    def _pool(self, states: Tensor, last: Tensor) -> Tensor:
        """One vector a sequence of the top layer's states; `last` is (layers * directions, batch, hidden)."""
        if self.pooled == "last":
            return torch.cat([*last[-self.directions :]], 1)  # (batch, directions * hidden)
        return states.mean(1) if self.pooled == "mean" else states.amax(1)
