"""Tape: the operations that are made between two moments, and a function that makes them again.

What reaches PyTorch's kernels is noted, a backward pass included; so the function has nothing to differentiate, and
has the same results bit for bit: it makes the very same operations in the same order.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Again = Callable[..., list[Any]]
SAME = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)  # but for autograd, which is not there again
TURN = torch.ops.aten.t.default
RECURRENT = torch.ops.aten.mkldnn_rnn_layer.default
PICK = torch.ops.aten.index.Tensor  # by numbers as many as there are; by a mask as many as it has
UNSTEADY = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
PUBLIC = {"_to_copy": "to"}  # operations whose function in PyTorch has another name


class Call(NamedTuple):
    """An operation, what it was given, and what came of it."""

    operation: Any
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    result: Any


class RepeatError(Exception):
    """Made again, the operations would not do the same; says why."""


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation that is made within it: `with Tape() as tape`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else PyTorch loads its compiler, to keep it out; that takes seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append(Call(func, args, kwargs or {}, result))
        return result

    def again(self, given: Sequence[Tensor], wanted: Sequence[Tensor | None], *, free: str = "") -> Again:
        """A function that makes the operations with other tensors of the same shapes, within `torch.no_grad`.

        It changes those that the operations have changed, and draws random numbers where they did.

        Args:
            given: Tensors that were there before; the function takes as many, in this order.
            wanted: Of the results, those that it returns; None for None.
            free: A named argument of operations, which the function takes for each of them in turn, after the tensors.

        Raises:
            RepeatError: What is done depends on values, or takes a tensor from elsewhere.
        """
        graph = fx.Graph()
        nodes: dict[int, Any] = {id(tensor): graph.placeholder(f"given_{at}") for at, tensor in enumerate(given)}
        slots = [graph.placeholder(f"{free}_{at}") for at in range(sum(free in call.named for call in self.calls))]
        turned: dict[int, Tensor] = {}  # matrices that are others turned, and those

        def node_of(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if id(value) not in nodes:
                if id(value) not in turned:
                    raise RepeatError("it takes a tensor from elsewhere")
                nodes[id(value)] = graph.call_function(torch.t, (node_of(turned[id(value)]),))
            return nodes[id(value)]

        for call in self.calls:
            _refuse_values(call)
            if call.operation is TURN:  # autograd turns most of them twice
                turned[id(call.result)], source = call.arguments[0], turned.get(id(call.arguments[0]))
                if source is not None:
                    nodes[id(call.result)] = node_of(source)
                continue
            arguments, named = map_aggregate((call.arguments, call.named), node_of)
            if call.operation in SAME:
                nodes[id(call.result)] = arguments[0]
                continue
            if free in named:
                named = {**named, free: slots.pop(0)}
            function, rest = _quickly(call)
            node = graph.call_function(function, (*arguments, *rest), named)
            if isinstance(call.result, Tensor):
                nodes[id(call.result)] = node
            else:
                for at, part in enumerate(call.result or ()):
                    nodes[id(part)] = graph.call_function(operator.getitem, (node, at))
        graph.output([node_of(tensor) for tensor in wanted])
        return fx.GraphModule({}, graph).forward


def _refuse_values(call: Call) -> None:
    numbers = [part for part in tree_leaves(call.result) if part is not None and not isinstance(part, Tensor)]
    picks = call.operation is PICK and not any(_is_mask(part) for part in tree_leaves(call.arguments[1]))
    if numbers or ({*UNSTEADY} & {*call.operation.tags} and not picks):
        raise RepeatError(f"what is done depends on values, by {call.operation}")


def _as_in_training(*arguments: Any, **named: Any) -> Any:
    """The layer that keeps what its backward pass needs only where gradients are wanted."""
    with torch.enable_grad(), torch._C._AutoDispatchBelowAutograd():
        return RECURRENT(*arguments, **named)


def _is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _quickly(call: Call) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """PyTorch's own function for an operation, which Python calls in half the time, if it does that and no more.

    Returns:
        The function, or the operation itself; and what its arguments are to be followed by.
    """
    if call.operation is RECURRENT:
        return _as_in_training, ()
    schema = call.operation._schema
    name = schema.name.removeprefix("aten::")
    rest = tuple(one.default_value for one in schema.arguments[len(call.arguments) :] if not one.kwarg_only)
    # tried with copies: an operation may change what it is given
    arguments, named = map_aggregate((call.arguments, call.named), _copied)
    for home in (torch, torch._C._nn, Tensor):
        function: Any = getattr(home, PUBLIC.get(name, name), None)
        for more in ((), rest) if function else ():
            with Tape() as tape, torch.no_grad():
                try:
                    function(*arguments, *more, **named)
                except (TypeError, RuntimeError, ValueError):  # it takes other arguments
                    continue
            made = [one for one in tape.calls if one.operation not in SAME]
            if len(made) == 1 and made[0].operation is call.operation and _alike(made[0][1:3], (arguments, named)):
                return function, more
    return call.operation, ()


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _alike(some: Any, others: Any) -> bool:
    """Whether two calls have the same tensors and equal numbers."""
    mine, theirs = tree_leaves(some), tree_leaves(others)
    return len(mine) == len(theirs) and all(
        one is other or (not isinstance(one, Tensor) and not isinstance(other, Tensor) and one == other)
        for one, other in zip(mine, theirs, strict=True)
    )
