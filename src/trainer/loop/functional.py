"""Training steps as one function: loss, gradients and the optimizer's update, as many in a call as batches are given.

`torch.compile` makes of it one kernel for a whole step and a loop around it, so that a network of a few weights is not
held up by the calls of fifty small operations. The loop is written once, so its length costs no time to compile.
"""
# PyTorch leaves much of this without types
# mypy: disable-error-code="no-untyped-call"

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

MOST_PRODUCTS = 2**14  # of a matrix product that is made within the kernel; above, the library's own is faster
UPDATES = (SGD, Adam, AdamW)
STATES = {SGD: ("momentum_buffer",), Adam: ("exp_avg", "exp_avg_sq"), AdamW: ("exp_avg", "exp_avg_sq")}
VARYING = ("params", "lr", "initial_lr", "foreach", "fused", "capturable")  # not a constant of the update

Constants = Mapping[str, Any]  # of a group of weights, as in `Optimizer.param_groups`, without those above
Losses = Callable[[dict[str, Tensor], Tensor, Tensor], tuple[Tensor, Tensor]]  # what is made small; what is logged
Steps = Callable[[list[Tensor], Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Weight:
    """One tensor of the network that learns.

    Args:
        name: In the network.
        group: Index of its group in the optimizer.
        states: How many tensors the optimizer keeps for it.
    """

    name: str
    group: int
    states: int


def constants(optimizer: Optimizer) -> list[Constants]:
    """What stays the same from step to step, of each group."""
    return [{key: group[key] for key in group if key not in VARYING} for group in optimizer.param_groups]


def learning(group: Constants) -> list[Tensor]:
    """The weights of a group that learn."""
    return [weight for weight in group["params"] if weight.requires_grad]


def state_names(optimizer: Optimizer, group: Constants) -> tuple[str, ...]:
    """What the optimizer keeps for each weight of a group, besides the number of steps."""
    return STATES[type(optimizer)] if group.get("momentum", 1) else ()


def coefficients(group: Constants, rate: float, step: int) -> list[float]:
    """What an update takes that differs from step to step, worked out in double precision.

    Args:
        group: Of the optimizer.
        rate: Learning rate of this step.
        step: Its number for these weights, from 1.
    """
    if "betas" not in group:
        return [rate, 1.0, 1.0]
    first, second = group["betas"]
    return [rate / (1 - first**step), math.sqrt(1 - second**step), 1 - rate * group["weight_decay"]]


def sgd(weight: Tensor, gradient: Tensor, states: list[Tensor], row: Tensor, group: Constants) -> list[Tensor]:
    """A weight and its momentum after one step of `torch.optim.SGD`."""
    if group["weight_decay"]:
        gradient = gradient + group["weight_decay"] * weight
    if group["momentum"]:
        moved = group["momentum"] * states[0] + (1 - group["dampening"]) * gradient
        gradient = gradient + group["momentum"] * moved if group["nesterov"] else moved
        states = [moved]
    return [weight - row[0] * gradient, *states]


def adam(weight: Tensor, gradient: Tensor, states: list[Tensor], row: Tensor, group: Constants) -> list[Tensor]:
    """A weight and its two moments after one step of `torch.optim.Adam` or `AdamW`."""
    (first, second), decay = group["betas"], group["weight_decay"]
    if decay and group["decoupled_weight_decay"]:
        weight = weight * row[2]
    elif decay:
        gradient = gradient + decay * weight
    mean = states[0] + (1 - first) * (gradient - states[0])
    square = second * states[1] + (1 - second) * gradient * gradient
    return [weight - row[0] * mean / (square.sqrt() / row[1] + group["eps"]), mean, square]


def compiled_steps(losses: Losses, weights: Sequence[Weight], groups: Sequence[Constants]) -> Steps:
    """A compiled function that makes steps on the tensors it is given, in place, and returns the losses to be logged.

    Its arguments are each weight followed by its states; inputs (steps, batch, ...); targets (steps, batch, ...);
    and the coefficients (steps, groups, 3). At least two steps; any other number needs no further compilation.

    Args:
        losses: Of weights by name, inputs and targets.
        weights: Which there are, in order.
        groups: Constants of the optimizer's groups.
    """
    from torch._higher_order_ops.scan import scan  # brings the compiler, which takes a second: for those who need it

    update = adam if "betas" in groups[0] else sgd
    slopes = torch.func.grad_and_value(losses, has_aux=True)
    starts = [sum(1 + before.states for before in weights[:place]) for place in range(len(weights))]

    def one(held: list[Tensor], given: tuple[Tensor, Tensor, Tensor]) -> tuple[list[Tensor], Tensor]:
        inputs, targets, rows = given
        named = {weight.name: held[start] for weight, start in zip(weights, starts, strict=True)}
        gradients, (_, logged) = slopes(named, inputs, targets)
        after: list[Tensor] = []
        for weight, start in zip(weights, starts, strict=True):
            states = held[start + 1 : start + 1 + weight.states]
            group = groups[weight.group]
            after += update(held[start], gradients[weight.name], states, rows[weight.group], group)
        return after, logged.clone()

    def many(held: list[Tensor], inputs: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        after, logged = scan(one, [tensor.clone() for tensor in held], (inputs, targets, rows))
        for tensor, value in zip(held, after, strict=True):
            tensor.copy_(value)
        return logged

    torch._dynamo.reset_code(many.__code__)  # type: ignore[attr-defined]  # forgets what earlier runs of this process compiled
    # not dynamic, save where a mark says so: else it generalises over the shapes of the runs before
    return torch.compile(many, fullgraph=True, dynamic=False, backend=_inductor)


def _inductor(graph: torch.fx.GraphModule, examples: list[Tensor]) -> Callable[..., Any]:
    """Inductor, with small matrix products taken apart, so that they join the kernel of all the rest."""
    from torch._inductor.compile_fx import compile_fx
    from torch._inductor.decomposition import select_decomp_table

    table = dict(select_decomp_table())
    product, product_and_sum = torch.ops.aten.mm.default, torch.ops.aten.addmm.default
    usual = {name: table.get(name, _as_it_is) for name in (product, product_and_sum)}

    def taken_apart(left: Tensor, right: Tensor) -> Tensor:
        if left.shape[0] * right.numel() > MOST_PRODUCTS:
            return usual[product](left, right)
        return (left[:, :, None] * right[None]).sum(1)

    def with_sum(added: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        if left.shape[0] * right.numel() > MOST_PRODUCTS or beta != 1 or alpha != 1:
            return usual[product_and_sum](added, left, right, beta=beta, alpha=alpha)
        return added + taken_apart(left, right)

    table |= {product: taken_apart, product_and_sum: with_sum}
    # it looks at shapes and places of tensors at every step, which are those it was compiled for
    patches = {"size_asserts": False, "alignment_asserts": False, "scalar_asserts": False}
    return compile_fx(graph, examples, config_patches=patches, decompositions=table)  # type: ignore[return-value]


def _as_it_is(*_: Any, **__: Any) -> Any:
    return NotImplemented


def losses_of(net: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], penalty: Any) -> Losses:
    """What a supervised task makes small and what it logs, as a function of the weights.

    Args:
        net: Its weights are replaced by those that the function is given.
        loss: Of outputs and targets.
        penalty: Added for the network's weights; None for none.
    """
    whole = _Losses(net, loss, penalty)

    def losses(weights: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        named = {f"net.{name}": weight for name, weight in weights.items()}
        return torch.func.functional_call(whole, named, (inputs, targets))

    return losses


class _Losses(nn.Module):
    def __init__(self, net: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], penalty: Any) -> None:
        super().__init__()
        self.net, self.loss, self.penalty = net, loss, penalty

    def forward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        loss = self.loss(self.net(inputs), targets)
        return (loss if self.penalty is None else loss + self.penalty(self.net)), loss
