"""Graph of a network for TensorBoard, recorded from the function calls of one forward pass.

`torch.utils.tensorboard` traces networks with `torch.jit`, which is deprecated and imports the compiler. Here nodes
have the names of the functions in the source: `linear`, `relu`, `lstm`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def build_graph(net: nn.Module, run: Callable[[], object], inputs: Tensor) -> GraphDef:
    """Return the graph of a forward pass.

    Args:
        net: Network whose modules become the boxes of the graph.
        run: Function that calls the network on the inputs.
        inputs: Inputs of the network.
    """
    calls = _CallRecorder()
    calls.add_input(inputs, "inputs")
    with torch.random.fork_rng(devices=[]), torch.no_grad(), calls.track_modules(net), calls:
        run()
    return calls.graph


class _CallRecorder(TorchFunctionMode):
    """Recorder of all calls that return tensors, by the name of the module that calls."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = GraphDef()
        self._nodes: dict[int, str] = {}  # id of a tensor -> node
        self._recorded_tensors: list[Tensor] = []  # references, so that ids stay unique
        self._name_counts: dict[str, int] = {}
        self._module_stack: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        is_inplace = func.__name__.endswith("_")
        outputs = [tensor for tensor in _iter_tensors(result) if id(tensor) not in self._nodes or is_inplace]
        if outputs:
            inputs = _iter_tensors([args, list((kwargs or {}).values())])
            sources = [self._nodes[id(tensor)] for tensor in inputs if id(tensor) in self._nodes]
            node = self._add_node(_get_op_name(func), sources, outputs[0])
            for tensor in outputs:
                self._register(tensor, node)
        return result

    def add_input(self, tensor: Tensor, name: str) -> None:
        """Add a node without sources."""
        self._register(tensor, self._add_node(name, [], tensor))

    @contextmanager
    def track_modules(self, net: nn.Module) -> Iterator[None]:
        """Track which module of a network is being called."""
        stack = self._module_stack
        with ExitStack() as hooks:
            for name, module in net.named_modules():
                path = name.replace(".", "/")
                hooks.enter_context(module.register_forward_pre_hook(lambda *_, path=path: stack.append(path)))
                hooks.enter_context(module.register_forward_hook(lambda *_: stack.pop() and None))
            yield

    def _register(self, tensor: Tensor, node: str) -> None:
        self._nodes[id(tensor)] = node
        self._recorded_tensors.append(tensor)

    def _add_node(self, kind: str, sources: list[str], output: Tensor) -> str:
        name = "/".join(filter(None, [*self._module_stack[-1:], kind]))
        count = self._name_counts[name] = self._name_counts.get(name, 0) + 1
        node = self.graph.node.add(name=f"{name}_{count}" if count > 1 else name, op=kind)
        node.input.extend(dict.fromkeys(sources))
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in output.shape:
            shape.dim.add(size=size)
        return str(node.name)


def _iter_tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _iter_tensors(item)


def _get_op_name(func: Any) -> str:
    name = str(func.__name__).strip("_")
    return str(getattr(getattr(func, "__self__", None), "__name__", name)) if name == "get" else name
