"""Trace of the operations that reach PyTorch's kernels, and its conversion to a function that replays them.

The operations of a backward pass are traced too, so a replay needs no autograd. It runs the same operations in the same
order, and its results are equal bit by bit.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate

from trainer.core.compat import TorchDispatchMode, tree_leaves

Replay = Callable[..., list[Any]]
IDENTITY_OPS = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)  # have an effect on autograd only
TRANSPOSE_OP = torch.ops.aten.t.default
RNN_OP = torch.ops.aten.mkldnn_rnn_layer.default
INDEX_OP = torch.ops.aten.index.Tensor  # the shape of its result depends on values only if an index is a mask
DATA_DEPENDENT_TAGS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
PUBLIC_NAMES = {"_to_copy": "to"}  # operations whose function in PyTorch has another name


class TracedCall(NamedTuple):
    """An operation with its arguments and result."""

    operation: Any
    arguments: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class ReplayError(Exception):
    """A trace cannot be replayed, because the results would differ."""


class OpTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context manager that traces every operation: `with OpTrace() as trace`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[TracedCall] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # if True, PyTorch imports its compiler, which takes seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append(TracedCall(func, args, kwargs or {}, result))
        return result

    def build_replay(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor | None], *, varying: str = "") -> Replay:
        """Return a function that runs the operations on other tensors of the same shapes, within `torch.no_grad`.

        It modifies the same inputs as the traced operations, and draws random numbers in the same order.

        Args:
            inputs: Tensors that existed before the trace; the function takes as many, in this order.
            outputs: Traced results that the function returns; None is returned as None.
            varying: Keyword argument of operations whose values the function takes after the tensors, one per call.

        Raises:
            ReplayError: An operation depends on values, or uses a tensor that is neither an input nor a result.
        """
        graph = fx.Graph()
        nodes: dict[int, Any] = {id(tensor): graph.placeholder(f"input_{i}") for i, tensor in enumerate(inputs)}
        slots = [graph.placeholder(f"{varying}_{i}") for i in range(sum(varying in call.kwargs for call in self.calls))]
        transposed: dict[int, Tensor] = {}  # source of each transposed matrix

        def node_of(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if id(value) not in nodes:
                if id(value) not in transposed:
                    raise ReplayError("it uses a tensor from outside")
                nodes[id(value)] = graph.call_function(torch.t, (node_of(transposed[id(value)]),))
            return nodes[id(value)]

        for call in self.calls:
            _require_value_independence(call)
            if call.operation is TRANSPOSE_OP:  # autograd transposes most matrices twice
                source = transposed.get(id(call.arguments[0]))
                transposed[id(call.result)] = call.arguments[0]
                if source is not None:
                    nodes[id(call.result)] = node_of(source)
                continue
            arguments, kwargs = map_aggregate((call.arguments, call.kwargs), node_of)
            if call.operation in IDENTITY_OPS:
                nodes[id(call.result)] = arguments[0]
                continue
            if varying in kwargs:
                kwargs = {**kwargs, varying: slots.pop(0)}
            function, defaults = _find_fast_function(call)
            node = graph.call_function(function, (*arguments, *defaults), kwargs)
            if isinstance(call.result, Tensor):
                nodes[id(call.result)] = node
            else:
                for index, part in enumerate(call.result or ()):
                    nodes[id(part)] = graph.call_function(operator.getitem, (node, index))
        graph.output([node_of(tensor) for tensor in outputs])
        return fx.GraphModule({}, graph).forward


def _require_value_independence(call: TracedCall) -> None:
    numbers = [part for part in tree_leaves(call.result) if part is not None and not isinstance(part, Tensor)]
    has_fixed_shape = call.operation is INDEX_OP and not any(_is_mask(part) for part in tree_leaves(call.arguments[1]))
    if numbers or ({*DATA_DEPENDENT_TAGS} & {*call.operation.tags} and not has_fixed_shape):
        raise ReplayError(f"the operations depend on values: {call.operation}")


def _run_rnn_for_training(*arguments: Any, **kwargs: Any) -> Any:
    """Run the layer with gradients enabled, as it saves tensors for the backward pass only then."""
    with torch.enable_grad(), torch._C._AutoDispatchBelowAutograd():
        return RNN_OP(*arguments, **kwargs)


def _is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _find_fast_function(call: TracedCall) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return the public function of an operation, which Python calls in half the time, if it is equivalent.

    Returns:
        The function, or the operation itself; and the arguments to append.
    """
    if call.operation is RNN_OP:
        return _run_rnn_for_training, ()
    schema = call.operation._schema
    name = schema.name.removeprefix("aten::")
    defaults = tuple(arg.default_value for arg in schema.arguments[len(call.arguments) :] if not arg.kwarg_only)
    # called with copies, as an operation may modify its arguments
    arguments, kwargs = map_aggregate((call.arguments, call.kwargs), _clone_tensor)
    for namespace in (torch, torch._C._nn, Tensor):
        function: Any = getattr(namespace, PUBLIC_NAMES.get(name, name), None)
        for appended in ((), defaults) if function else ():
            with OpTrace() as trace, torch.no_grad():
                try:
                    function(*arguments, *appended, **kwargs)
                except (TypeError, RuntimeError, ValueError):  # it has other parameters
                    continue
            calls = [part for part in trace.calls if part.operation not in IDENTITY_OPS]
            if (
                len(calls) == 1
                and calls[0].operation is call.operation
                and _has_same_arguments(calls[0][1:3], (arguments, kwargs))
            ):
                return function, appended
    return call.operation, ()


def _clone_tensor(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _has_same_arguments(first: Any, second: Any) -> bool:
    """Return True if two calls have identical tensors and equal numbers."""
    pairs = [tree_leaves(first), tree_leaves(second)]
    return len(pairs[0]) == len(pairs[1]) and all(
        a is b or (not isinstance(a, Tensor) and not isinstance(b, Tensor) and a == b)
        for a, b in zip(*pairs, strict=True)
    )
