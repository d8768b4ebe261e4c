"""Multi-layer perceptron: fully connected layers with an activation between them."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import Activation, Initialisation, dense, initialise


class MLP(nn.Module):
    """Fully connected network.

    Args:
        spec: The data set's promise; gives the sizes of the input and of the output.
        hidden: Width of each hidden layer, first to last; `[]` makes it linear.
        activation: What follows each hidden layer.
        batch_norm: Normalise each hidden layer's sums over the batch before the activation.
        dropout: Probability, in [0, 1), that a hidden unit is left out of a training step.
        residual: Whether a hidden layer as wide as the one before adds its input to its output.
        initialisation: How the weights begin.

    Raises:
        UserError: `residual` has no layer to work on.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        hidden: Sequence[int] = (64,),
        activation: Activation = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        initialisation: Initialisation = "default",
    ) -> None:
        super().__init__()
        spec.require("mlp", "vector", "image", "sequence")
        if residual and not any(before == after for before, after in pairwise(hidden)):
            raise UserError(f"model.net.residual: of hidden={[*hidden]} no layer is as wide as the one before it")
        self.layers = dense(
            [prod(spec.shape), *hidden, spec.output_size],
            activation,
            batch_norm=batch_norm,
            dropout=dropout,
            residual=residual,
        )
        initialise(self, initialisation)

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layers in turn.

        Shapes:
            inputs: (batch, *spec.shape), flattened here
            returns: (batch, output_size)
        """
        return self.layers(inputs.flatten(1))
