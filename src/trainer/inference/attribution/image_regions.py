"""Regions of an image that a network uses, by Grad-CAM or integrated gradients."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from trainer.core.callback import unchanged_state
from trainer.core.errors import UserError, did_you_mean
from trainer.model.ensemble import Ensemble

INTEGRATION_STEPS = 32

Score = Callable[[Tensor], Tensor]


def find_layer(net: nn.Module, images: Tensor) -> nn.Module | None:
    """Return the layer for Grad-CAM; None if the network has no convolutions, or several networks side by side.

    It is the last layer whose output has the shape of the last convolution's output: for a residual network the sum of
    the last block. Convolutions that only cut an image into patches, and outputs of one pixel, do not count.

    Args:
        net: Network.
        images: Inputs (batch, channels, height, width) on the device of the network.
    """
    if isinstance(net, Ensemble):
        return None
    calls: list[tuple[nn.Module, torch.Size]] = []

    def record(layer: nn.Module, _: object, outputs: object) -> None:
        if isinstance(outputs, Tensor) and outputs.dim() == 4 and max(outputs.shape[2:]) > 1:
            calls.append((layer, outputs.shape))

    with ExitStack() as hooks:
        for layer in net.modules():
            hooks.enter_context(layer.register_forward_hook(record))
        net.forward(images)  # not `net(images)`: a compiled network calls no hooks
    shapes = [shape for layer, shape in calls if is_convolution(layer)]
    return next(layer for layer, shape in reversed(calls) if shape == shapes[-1]) if shapes else None


def require_layer(net: nn.Module, name: str, shape: Sequence[int], key: str) -> None:
    """Check that a network has a layer whose outputs are images, as Grad-CAM needs.

    Args:
        net: Network, which may be on the meta device.
        name: Name of the layer.
        shape: Shape (channels, height, width) of an input.
        key: Config key of the layer, for messages.

    Raises:
        UserError: There is no such layer, or its outputs have another number of axes.
    """
    layers = dict(net.named_modules())
    if name not in layers or not name:
        raise UserError(f"{key}: the network has no layer '{name}'{did_you_mean(name, [*filter(None, layers)])}")
    shapes: list[tuple[int, ...]] = []
    hook = layers[name].register_forward_hook(lambda *args: shapes.append(tuple(getattr(args[-1], "shape", ()))))
    with hook, unchanged_state(net), torch.no_grad():
        device = next((weight.device for weight in net.parameters()), torch.device("cpu"))
        net.eval().forward(torch.zeros(1, *shape, device=device))
    if not shapes or len(shapes[-1]) != 4:
        actual = f"has outputs {shapes[-1]}" if shapes else "is not called by the network"
        raise UserError(f"{key}: '{name}' {actual}; expected a layer with outputs (batch, channels, rows, columns)")


def is_convolution(layer: nn.Module) -> bool:
    """Return whether a layer is a convolution of images whose windows overlap, or consist of one pixel."""
    return isinstance(layer, nn.Conv2d) and (max(layer.kernel_size) == 1 or layer.kernel_size != layer.stride)


def compute_grad_cam(net: nn.Module, layer: nn.Module, images: Tensor, score: Score) -> Tensor:
    """Return the regions of images that increase a score, by Grad-CAM: (batch, rows, columns), at least 0.

    It is the sum of the channels of a layer, each weighted by its mean gradient, with negative sums set to 0.

    Args:
        net: Network in evaluation mode.
        layer: Layer of the network with outputs (batch, channels, rows, columns).
        images: Inputs (batch, channels, height, width).
        score: Function that maps outputs of the network (batch, output_size) to a score of each image (batch,).

    Source:
        Selvaraju et al. 2017, Grad-CAM: Visual explanations from deep networks via gradient-based localization.
    """
    outputs_of_layer: list[Tensor] = []
    with layer.register_forward_hook(lambda *args: outputs_of_layer.append(args[-1])), torch.enable_grad():
        inputs = images.clone().requires_grad_()  # so that there are gradients if all weights are frozen
        outputs = net.forward(inputs.clone())  # the network may change its inputs
        channels = outputs_of_layer[-1]
        [gradients] = torch.autograd.grad(score(outputs).sum(), channels)
    weights = gradients.mean((2, 3), keepdim=True)  # (batch, channels, 1, 1)
    return (weights * channels.detach()).sum(1).relu().float()


def integrate_gradients(net: nn.Module, images: Tensor, score: Score) -> Tensor:
    """Return the contribution of each pixel to the difference of scores between an image and an input of zeros.

    Args:
        net: Network in evaluation mode.
        images: Inputs (batch, channels, height, width).
        score: See `compute_grad_cam`.

    Returns:
        Tensor: (batch, height, width), summed over the channels.

    Source:
        Sundararajan, Taly, Yan 2017, Axiomatic attribution for deep networks; integral by the midpoint rule.
    """
    total = torch.zeros_like(images)
    for step in range(INTEGRATION_STEPS):
        with torch.enable_grad():
            inputs = (images * ((step + 0.5) / INTEGRATION_STEPS)).requires_grad_()
            [gradients] = torch.autograd.grad(score(net.forward(inputs.clone())).sum(), inputs)
        total += gradients
    return (images * total / INTEGRATION_STEPS).sum(1).float()
