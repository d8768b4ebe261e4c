"""Parts that several networks are made of: activations by name, and weight initialisation by name."""

from collections.abc import Callable
from typing import Literal

from torch import nn

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
