"""Stacked weights of networks of equal structure, which one call of an operation computes for all runs of a group."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainer.training.loop.traced_steps import unwrap_step

Settings = tuple[Any, ...]


class StackedNetworks:
    """Weights, buffers and target scales of the networks of several tasks, one more axis in front.

    The tensors of the networks become views of the stacked ones, so the code of each run sees its own weights at any
    time.

    Args:
        tasks: Tasks whose networks have equal modules and shapes.
    """

    def __init__(self, tasks: Sequence[Any]) -> None:
        self.tasks = [*tasks]
        nets = [task.net for task in tasks]
        self.net: nn.Module = nets[0]
        self.weights = _stack([dict(net.named_parameters()) for net in nets])
        self.buffers = _stack([dict(net.named_buffers()) for net in nets])
        for name, weight in nets[0].named_parameters():
            self.weights[name].requires_grad_(weight.requires_grad)
        for index, net in enumerate(nets):
            for name, weight in net.named_parameters():
                weight.data = self.weights[name].detach()[index]
            for name, buffer in net.named_buffers():
                buffer.data = self.buffers[name][index]
        scales = [task.objective.target_scale for task in tasks]
        # mean and standard deviation (runs, outputs); empty without scales
        self.scales = [torch.stack(parts) for parts in zip(*(scale.tensors for scale in scales if scale), strict=True)]
        self.trainable = [weight for weight in self.weights.values() if weight.requires_grad]
        constants = [tensor for task in tasks for tensor in task.objective.loss_tensors]
        self.tensors = [*self.weights.values(), *self.buffers.values(), *self.scales, *constants]

    def trainable_of(self, index: int) -> list[nn.Parameter]:
        """Return the weights of one run that have gradients, in the same order."""
        return [weight for weight in self.tasks[index].net.parameters() if weight.requires_grad]

    def stack_gradients(self) -> list[Tensor]:
        """Return the present gradients of all runs, (runs, *shape); 0 if there are none."""
        weights = zip(*map(self.trainable_of, range(len(self.tasks))), strict=True)
        return [
            stack_tensors([torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in runs])
            for runs in weights
        ]

    def release(self, index: int) -> None:
        """Give a run tensors of its own again, as it is not trained with the others any more."""
        copy_weights(self.tasks[index].net)


class StackedOptimizer:
    """Optimizers of several runs: one optimizer of the same class for the runs with the same settings.

    Args:
        networks: Stacked networks.
        optimizers: Optimizer of each run, in the order of the networks.
        settings: Settings of each optimizer; equal ones are adjacent.
    """

    def __init__(
        self, networks: StackedNetworks, optimizers: Sequence[Optimizer], settings: Sequence[Settings]
    ) -> None:
        self.optimizers = [*optimizers]
        self.ranges = [*equal_ranges(settings)]
        self.parts: list[Optimizer] = []
        weights = [weight.detach() for weight in networks.trainable]
        for runs in self.ranges:
            group = optimizers[runs.start].param_groups[0]
            optimizer_class: Any = type(optimizers[runs.start])
            part: Optimizer = optimizer_class([weight[runs.start : runs.stop] for weight in weights])
            names = group.keys() - {"params", "initial_lr"}
            part.param_groups[0].update({name: group[name] for name in names})
            self._stack_states(part, [optimizers[run] for run in runs])
            self.parts.append(part)
        self._share_states()
        states = [value for part in self.parts for state in part.state.values() for value in state.values()]
        # weights and states that an update changes
        self.tensors: list[Tensor] = [weight for part in self.parts for weight in part.param_groups[0]["params"]]
        self.tensors += [value for value in states if isinstance(value, Tensor)]

    def set_rates(self, rates: Sequence[float]) -> None:
        """Set the learning rate of each part."""
        for part, rate in zip(self.parts, rates, strict=True):
            part.param_groups[0]["lr"] = rate

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update the weights with gradients (runs, *shape)."""
        for runs, part in zip(self.ranges, self.parts, strict=True):
            is_whole = len(runs) == len(gradients[0])
            for weight, gradient in zip(part.param_groups[0]["params"], gradients, strict=True):
                weight.grad = gradient if is_whole else gradient[runs.start : runs.stop]
            unwrap_step(part)()

    def _share_states(self) -> None:
        """Make the state of each run's optimizer a view of the stacked one."""
        for runs, part in zip(self.ranges, self.parts, strict=True):
            stacked = [*part.state.values()]
            for index, run in enumerate(runs):
                weights = _updated_weights(self.optimizers[run])
                for weight, state in zip(weights, stacked, strict=True):
                    self.optimizers[run].state[weight] = {
                        name: value[index] if isinstance(value, Tensor) and value.dim() else value
                        for name, value in state.items()
                    }

    def release(self, index: int) -> None:
        """Give a run a state of its own again."""
        copy_state(self.optimizers[index])

    def _stack_states(self, part: Optimizer, optimizers: Sequence[Optimizer]) -> None:
        states = [[optimizer.state[weight] for weight in _updated_weights(optimizer)] for optimizer in optimizers]
        for weight, values in zip(part.param_groups[0]["params"], zip(*states, strict=True), strict=True):
            part.state[weight] = {
                name: stack_tensors([state[name] for state in values])
                if isinstance(value, Tensor) and value.dim()
                else value.clone()
                if isinstance(value, Tensor)  # number of steps, equal in all runs
                else value
                for name, value in values[0].items()
            }


def copy_weights(net: nn.Module) -> None:
    """Replace the tensors of a network by copies, which are not parts of stacked tensors."""
    for tensor in (*net.parameters(), *net.buffers()):
        tensor.data = tensor.data.clone()
        tensor.grad = None if tensor.grad is None else tensor.grad.clone()


def copy_state(optimizer: Optimizer) -> None:
    """Replace the state of an optimizer by a copy; several runs of a stack have the same number of steps."""
    for state in optimizer.state.values():
        state |= {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}


def read_settings(optimizer: Optimizer) -> Settings:
    """Return class and settings of an optimizer with one parameter group; its steps depend on them and on its state."""
    [group] = optimizer.param_groups
    settings = {name: value for name, value in group.items() if name not in ("params", "initial_lr")}
    counts = {float(value) for state in optimizer.state.values() for value in [state.get("step", 0)]}
    return type(optimizer), tuple(settings.items()), tuple(sorted(counts))


def _updated_weights(optimizer: Optimizer) -> list[Any]:
    """Return the weights of an optimizer that have gradients."""
    return [weight for weight in optimizer.param_groups[0]["params"] if weight.requires_grad]


def _stack(tensors: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: stack_tensors([values[name].detach() for values in tensors]) for name in tensors[0]}


def stack_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """Return equal tensors with one more axis in front; the parts have the strides of the tensors."""
    first = torch.empty_like(tensors[0])  # PyTorch chooses convolutions by strides, also by those of axes of length 1
    size = (len(tensors), *first.shape)
    memory = torch.empty(len(tensors) * first.numel(), dtype=first.dtype)
    stacked = memory.as_strided(size, (first.numel(), *first.stride()))
    for part, tensor in zip(stacked, tensors, strict=True):
        part.copy_(tensor)
    return stacked


def equal_ranges(settings: Sequence[Any]) -> Iterator[range]:
    """Yield the ranges of adjacent equal settings: range(0, 2) and range(2, 3) for [1, 1, 5]."""
    start = 0
    for _, values in groupby(settings):
        stop = start + len([*values])
        yield range(start, stop)
        start = stop
