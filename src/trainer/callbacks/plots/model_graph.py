"""The graph of a network for TensorBoard: what each call in its forward pass takes from which others.

`torch.utils.tensorboard` traces networks by `torch.jit`, which is deprecated and imports the compiler. This listens to
the calls of one forward pass instead, and tells them as they stand in the source: `linear`, `relu`, `lstm`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle


def graph_of(net: nn.Module, run: Callable[[], object], inputs: Tensor) -> GraphDef:
    """The graph of what a network does.

    Args:
        net: Its modules are the boxes that calls lie in.
        run: Calls it on the inputs.
        inputs: Of the network.
    """
    calls = _Calls()
    calls.note(inputs, "inputs")
    with torch.random.fork_rng(devices=[]), torch.no_grad(), calls.within(net), calls:
        run()
    return calls.graph


class _Calls(TorchFunctionMode):
    """Notes each call that makes tensors, under the name of the module it is made in."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = GraphDef()
        self._of: dict[int, str] = {}  # tensor -> node
        self._held: list[Tensor] = []  # so that no two of them have one id
        self._names: dict[str, int] = {}
        self._path: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        made = [tensor for tensor in _tensors(answer) if id(tensor) not in self._of or func.__name__.endswith("_")]
        if made:
            given = [*_tensors([args, list((kwargs or {}).values())])]
            node = self._add(_name(func), [self._of[id(each)] for each in given if id(each) in self._of], made[0])
            for tensor in made:
                self._keep(tensor, node)
        return answer

    def note(self, tensor: Tensor, name: str) -> None:
        """A tensor that no call has made."""
        self._keep(tensor, self._add(name, [], tensor))

    @contextmanager
    def within(self, net: nn.Module) -> Iterator[None]:
        """Follow the modules of a network while they are called."""
        handles: list[RemovableHandle] = []
        for name, module in net.named_modules():
            place = name.replace(".", "/")
            handles.append(module.register_forward_pre_hook(lambda *_, place=place: self._path.append(place)))
            handles.append(module.register_forward_hook(lambda *_: self._path.pop() and None))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _keep(self, tensor: Tensor, node: str) -> None:
        self._of[id(tensor)] = node
        self._held.append(tensor)

    def _add(self, kind: str, sources: list[str], shown: Tensor) -> str:
        name = "/".join(filter(None, [*self._path[-1:], kind]))
        count = self._names[name] = self._names.get(name, 0) + 1
        node = self.graph.node.add(name=f"{name}_{count}" if count > 1 else name, op=kind)
        node.input.extend(dict.fromkeys(sources))
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in shown.shape:
            shape.dim.add(size=size)
        return str(node.name)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)


def _name(func: Any) -> str:
    name = str(func.__name__).strip("_")
    return str(getattr(getattr(func, "__self__", None), "__name__", name)) if name == "get" else name
