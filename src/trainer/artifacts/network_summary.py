"""Size of a network and of its layers."""

from typing import Any

from pytorch_lightning import LightningModule
from torch import nn

from trainer.task.parameter_groups import get_network

MAX_LAYERS = 200


def count_parameters(net: nn.Module, *, trainable_only: bool = False) -> int:
    """Return the number of parameters, or of those that are trained."""
    return sum(weight.numel() for weight in net.parameters() if weight.requires_grad or not trainable_only)


def describe_network(task: LightningModule) -> dict[str, Any]:
    """Return the entry of `result.json` for a network.

    Returns:
        dict: `class`, `parameters`, `trainable`, and `layers`: class and number of parameters of each module that has
        parameters of its own, of the first `MAX_LAYERS` ones. A parameter of several modules counts for the first.
    """
    net = get_network(task)
    layers: dict[str, list[Any]] = {}
    counted: set[int] = set()
    for name, module in net.named_modules():
        new = [weight for weight in module.parameters(recurse=False) if id(weight) not in counted]
        counted |= {id(weight) for weight in new}
        if new and len(layers) < MAX_LAYERS:
            layers[name or type(net).__name__] = [type(module).__name__, sum(weight.numel() for weight in new)]
    return {
        "network": {
            "class": type(net).__name__,
            "parameters": count_parameters(net),
            "trainable": count_parameters(net, trainable_only=True),
            "layers": layers,
        }
    }
