"""Dense layers, activations by name and weight initializations by name."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.model.layers.onednn_linear import Linear

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh"]
Initialization = Literal[
    "default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal"
]

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class Residual(nn.Sequential):
    """Layers whose input is added to their output of the same shape.

    Source:
        He et al. 2016, Deep residual learning for image recognition.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layers and add the inputs (any shape)."""
        outputs = inputs
        for layer in self:
            outputs = layer(outputs)
        return inputs + outputs


def make_dense(
    widths: Sequence[int],
    activation: Activation,
    *,
    batch_norm: bool = False,
    dropout: float = 0.0,
    residual: bool = False,
) -> nn.Sequential:
    """Return fully connected layers; all but the last with (batch norm,) activation (and dropout).

    Args:
        widths: Widths of the input, of each hidden layer, and of the output.
        activation: Activation after each hidden layer.
        batch_norm: Whether hidden layers are normalized over the batch before the activation.
        dropout: Dropout probability in [0, 1) after each hidden layer.
        residual: Whether hidden layers of the same width as the previous one add their input to their output.

    Raises:
        UserError: A layer has no unit.
    """
    if min(widths) < 1:
        raise UserError(f"model.net: each layer needs at least 1 unit; the widths are {[*widths[1:-1]]}")
    *hidden, last = pairwise(widths)
    layers: list[nn.Module] = []
    for in_features, out_features in hidden:
        layer: list[nn.Module] = [Linear(in_features, out_features, bias=not batch_norm)]
        if batch_norm:
            layer.append(nn.BatchNorm1d(out_features))
        layer.append(ACTIVATIONS[activation]())
        if dropout:
            layer.append(nn.Dropout(dropout))
        layers += [Residual(*layer)] if residual and in_features == out_features else layer
    return nn.Sequential(*layers, Linear(*last))


def initialize_weights(net: nn.Module, init: Initialization) -> None:
    """Initialize the weights of all linear and convolutional layers, and set their biases to zero.

    Args:
        net: Network, changed in place.
        init: Name of a function of `torch.nn.init` without its final underscore; `"default"` does nothing.

    Source:
        Glorot and Bengio 2010 (xavier); He et al. 2015 (kaiming); Saxe et al. 2014 (orthogonal).
    """
    if init == "default":
        return
    initialize: Callable[..., object] = getattr(nn.init, f"{init}_")
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            initialize(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
