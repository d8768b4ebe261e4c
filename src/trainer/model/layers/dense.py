"""Parts that several networks are made of: activations by name, dense layers, weight initialisation by name."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.model.layers.onednn_linear import Linear

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh"]
Initialisation = Literal[
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
    """Layers whose input is added to their output, of the same shape: gradients have a way around them.

    Source:
        He et al. 2016, Deep residual learning for image recognition.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layers and add: any shape, and the same one returned."""
        outputs = inputs
        for layer in self:
            outputs = layer(outputs)
        return inputs + outputs


def dense(
    widths: Sequence[int],
    activation: Activation,
    *,
    batch_norm: bool = False,
    dropout: float = 0.0,
    residual: bool = False,
) -> nn.Sequential:
    """Fully connected layers: all but the last with (batch norm,) activation (and dropout).

    Args:
        widths: Of the input, of each layer in turn, and of the output.
        activation: After each layer but the last.
        batch_norm: Whether sums are normalised over the batch before the activation.
        dropout: Probability, in [0, 1), that a unit is left out of a training step.
        residual: Whether a layer as wide as the one before adds its input to its output; not the last.

    Raises:
        UserError: A layer has no unit.
    """
    if min(widths) < 1:
        raise UserError(f"model.net: each layer needs at least 1 unit; {[*widths[1:-1]]} has one without")
    *hidden, last = pairwise(widths)
    layers: list[nn.Module] = []
    for before, after in hidden:
        layer: list[nn.Module] = [Linear(before, after, bias=not batch_norm)]
        if batch_norm:
            layer.append(nn.BatchNorm1d(after))
        layer.append(ACTIVATIONS[activation]())
        if dropout:
            layer.append(nn.Dropout(dropout))
        layers += [Residual(*layer)] if residual and before == after else layer
    return nn.Sequential(*layers, Linear(*last))


def initialise(net: nn.Module, how: Initialisation) -> None:
    """Set the weights of every linear and convolutional layer anew, and their biases to zero.

    Args:
        net: The network, changed in place.
        how: A function of `torch.nn.init` without its underscore; `"default"` leaves PyTorch's own weights.

    Source:
        Glorot and Bengio 2010 (xavier); He et al. 2015 (kaiming); Saxe et al. 2014 (orthogonal).
    """
    if how == "default":
        return
    fill: Callable[..., object] = getattr(nn.init, f"{how}_")
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            fill(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
