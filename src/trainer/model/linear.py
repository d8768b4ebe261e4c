"""Single linear layer for linear regression on values and logistic regression on classes."""

from math import prod

from torch import Tensor, nn

from trainer.core.spec import DataSpec


class Linear(nn.Module):
    """Linear layer on flattened inputs.

    Args:
        spec: Specification of the data set.
        bias: Whether the layer has a bias.
    """

    def __init__(self, spec: DataSpec, *, bias: bool = True) -> None:
        super().__init__()
        spec.require("linear", "vector", "image", "sequence")
        self.layer = nn.Linear(prod(spec.shape), spec.output_size, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the outputs.

        Shapes:
            inputs: (batch, *spec.shape)
            returns: (batch, output_size)
        """
        return self.layer(inputs.flatten(1))
