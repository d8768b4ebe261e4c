"""One linear layer: linear regression on values, logistic regression on classes."""

from math import prod

from torch import Tensor, nn

from trainer.core.spec import DataSpec


class Linear(nn.Module):
    """A weighted sum of the inputs for each output.

    Args:
        spec: The data set's promise; gives the sizes.
        bias: Whether a constant is added to each sum.
    """

    def __init__(self, spec: DataSpec, *, bias: bool = True) -> None:
        super().__init__()
        spec.require("linear", "vector", "image", "sequence")
        self.layer = nn.Linear(prod(spec.shape), spec.output_size, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Weigh and add up.

        Shapes:
            inputs: (batch, *spec.shape)
            returns: (batch, output_size)
        """
        return self.layer(inputs.flatten(1))
