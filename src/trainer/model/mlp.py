"""Multi-layer perceptron."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.category_embedding import CategoryEmbedding
from trainer.model.layers.dense import Activation, Initialization, initialize_weights, make_dense


class MLP(nn.Module):
    """Fully connected network.

    Args:
        spec: Specification of the data set.
        hidden: Widths of the hidden layers; `[]` makes the network linear.
        activation: Activation after each hidden layer.
        batch_norm: Whether hidden layers are normalized over the batch before the activation.
        dropout: Dropout probability in [0, 1) after each hidden layer.
        embed_categories: Whether long one-hot vectors of the categories of a table are replaced by embeddings.
        residual: Whether hidden layers of the same width as the previous one add their input to their output.
        init: Initialization of the weights.

    Raises:
        UserError: `residual` is true and no layer has the width of the previous one.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        hidden: Sequence[int] = (64,),
        activation: Activation = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        embed_categories: bool = True,
        residual: bool = False,
        init: Initialization = "default",
    ) -> None:
        super().__init__()
        spec.require("mlp", "vector", "image", "sequence")
        if residual and not any(width == next_width for width, next_width in pairwise(hidden)):
            raise UserError(f"model.net.residual: no layer in hidden={[*hidden]} has the width of the previous one")
        input_size = prod(spec.shape)
        self.embedding: nn.Module = nn.Identity()
        if embed_categories and spec.categories:
            self.embedding = CategoryEmbedding(spec)
            input_size = self.embedding.output_size
        self.layers = make_dense(
            [input_size, *hidden, spec.output_size],
            activation,
            batch_norm=batch_norm,
            dropout=dropout,
            residual=residual,
        )
        initialize_weights(self, init)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the outputs.

        Shapes:
            inputs: (batch, *spec.shape)
            returns: (batch, output_size)
        """
        return self.layers(self.embedding(inputs.flatten(1)))
