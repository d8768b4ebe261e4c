"""Network that is computed for several runs: dropout with the masks of each run, linear layers rounded as alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from trainer.model.layers.onednn_linear import Linear
from trainer.training.fused.linear import BatchableLinear


class PreparedNetwork:
    """Copy of a network for `functional_call` within `vmap`.

    Args:
        net: Network of the first run.
        scale: Target scale that is attached to the network, or None.
        rates: Dropout probability of each layer of each run, in the order of `Module.modules`.
    """

    def __init__(self, net: nn.Module, scale: Any, rates: Sequence[Sequence[float]]) -> None:
        self.net = deepcopy(net, {id(scale): scale})  # its hook refers to the same object
        self.masks: list[Tensor] = []  # of the next calls, of one run
        self._rates = [*zip(*rates, strict=True)]  # by layer and run
        self._layers = find_dropout_layers(self.net)
        self._calls: dict[torch.Size, list[tuple[int, torch.Size]]] = {}  # layers and shapes by shape of the inputs
        for module in self.net.modules():
            if type(module) in (nn.Linear, Linear):
                vars(module)["forward"] = _make_linear(module)

    @property
    def needs_masks(self) -> bool:
        """Return whether the network has dropout layers."""
        return bool(self._layers)

    def draw_masks(self, inputs: Tensor, generators: Sequence[torch.Generator]) -> list[Tensor]:
        """Return a mask for each call of a dropout layer, (runs, *shape), for inputs (runs, batch, *shape).

        Args:
            inputs: Batch of each run.
            generators: Random numbers of each run.
        """
        if not self._layers:
            return []
        shape = inputs.shape[1:]
        if shape not in self._calls:
            self._calls[shape] = self._record_calls(inputs[0])
        drawn = [[*self._draw_run(run, self._calls[shape], item)] for run, item in enumerate(generators)]
        return [torch.stack(masks) for masks in zip(*drawn, strict=True)]

    @contextmanager
    def masks_in_use(self) -> Iterator[None]:
        """Let each call of a dropout layer multiply with the next of `masks`."""
        with self._replaced_dropout(lambda _: lambda inputs: inputs * self.masks.pop(0)):
            yield

    @contextmanager
    def _replaced_dropout(self, make_forward: Callable[[int], Callable[[Tensor], Tensor]]) -> Iterator[None]:
        for index, layer in enumerate(self._layers):
            vars(layer)["forward"] = make_forward(index)
        try:
            yield
        finally:
            for layer in self._layers:
                vars(layer).pop("forward")

    def _draw_run(
        self, run: int, calls: Sequence[tuple[int, torch.Size]], generator: torch.Generator
    ) -> Iterator[Tensor]:
        for layer, shape in calls:  # as `torch.dropout` on the CPU
            rate = self._rates[layer][run]
            mask = torch.ones(shape)
            yield mask.bernoulli_(1 - rate, generator=generator).div_(1 - rate) if rate else mask

    def _record_calls(self, inputs: Tensor) -> list[tuple[int, torch.Size]]:
        calls: list[tuple[int, torch.Size]] = []

        def make_forward(index: int) -> Callable[[Tensor], Tensor]:
            def forward(values: Tensor) -> Tensor:
                calls.append((index, values.shape))
                return values

            return forward

        buffers = {name: buffer.clone() for name, buffer in self.net.named_buffers()}
        with torch.no_grad(), self._replaced_dropout(make_forward), _plain_linear(self.net):
            self.net(inputs)
            for name, buffer in self.net.named_buffers():
                buffer.copy_(buffers[name])
        return calls


def find_dropout_layers(net: nn.Module) -> list[nn.Dropout]:
    """Return the dropout layers of a network."""
    return [module for module in net.modules() if isinstance(module, nn.Dropout)]


def _make_linear(module: nn.Module) -> Callable[[Tensor], Any]:
    return lambda inputs: BatchableLinear.apply(inputs, module.weight, module.bias)


@contextmanager
def _plain_linear(net: nn.Module) -> Iterator[None]:
    """Use PyTorch's linear layers in the block."""
    replaced = {module: vars(module).pop("forward") for module in net.modules() if type(module) in (nn.Linear, Linear)}
    try:
        yield
    finally:
        for module, forward in replaced.items():
            vars(module)["forward"] = forward
