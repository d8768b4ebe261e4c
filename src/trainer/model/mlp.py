"""Multi-layer perceptron: fully connected layers with an activation between them."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from trainer.model.layers import ACTIVATIONS, Activation, Initialisation, initialise
from trainer.spec import DataSpec


class MLP(nn.Module):
    """Fully connected network.

    Args:
        spec: The data set's promise; gives the sizes of the input and of the output.
        hidden: Width of each hidden layer, first to last; `[]` makes it linear.
        activation: What follows each hidden layer.
        batch_norm: Normalise each hidden layer's sums over the batch before the activation.
        dropout: Probability, in [0, 1), that a hidden unit is left out of a training step.
        initialisation: How the weights begin.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        hidden: Sequence[int] = (64,),
        activation: Activation = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        initialisation: Initialisation = "default",
    ) -> None:
        super().__init__()
        spec.require("mlp", "vector", "image", "sequence")
        widths = [prod(spec.shape), *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(nn.Linear(before, after, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], spec.output_size))
        initialise(self, initialisation)

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layers in turn.

        Shapes:
            inputs: (batch, *spec.shape), flattened here
            returns: (batch, output_size)
        """
        return self.layers(inputs.flatten(1))
