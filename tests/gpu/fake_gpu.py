"""A GPU that is simulated, so that what runs on one is tested where there is none.

Its tensors hold their numbers in memory and compute on the CPU. But they say `cuda:0` when asked for their device,
refuse to meet tensors that are not there and to become NumPy arrays, and count whoever has to wait for their numbers.
What is not simulated: kernels of CUDA, autocast, pinned memory, several GPUs.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
aten = torch.ops.aten
MAY_MEET = {
    aten.copy_.default,
    aten._to_copy.default,
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
}
WAIT = {aten._local_scalar_dense.default, aten.nonzero.default, aten._unique2.default, aten.equal.default}

waits: Counter[str] = Counter()  # for the GPU, by the lines of ours and of Lightning's that had to


class OnGpu(Tensor):
    """A tensor on the fake GPU: `held`, in memory."""

    @staticmethod
    def __new__(cls, held):
        return Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=CPU,  # autograd then needs no driver
        )

    def __init__(self, held):
        self.held = held

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def get_device(self):
        return 0

    def cuda(self, *_, **__):
        return self

    def cpu(self, *_, **__):
        wait()
        return _Fetched.apply(self)

    def to(self, *args, copy=False, **kwargs):
        if args and isinstance(args[0], Tensor):
            device, dtype, layout = args[0].device, args[0].dtype, None
        else:
            device, dtype, _, layout = torch._C._nn._parse_to(*args, **kwargs)
        made = self if device is None or device.type == "cuda" else self.cpu()
        more = {} if layout is None else {"memory_format": layout}
        return Tensor.to(made, dtype=dtype or made.dtype, copy=copy, **more)

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor first.")

    __array__ = numpy

    def tolist(self):
        return self.cpu().tolist()

    def __repr__(self, **_):
        return f"OnGpu({self.held!r})"

    def __format__(self, how):
        return format(self.detach().cpu(), how)

    def __reduce_ex__(self, protocol):
        return self._like(self.detach().cpu()).__reduce_ex__(protocol)

    def __deepcopy__(self, memo):
        return memo.setdefault(id(self), self._like(self.detach().clone()))

    def _like(self, other):
        learns = self.requires_grad
        return nn.Parameter(other, learns) if isinstance(self, nn.Parameter) else other.requires_grad_(learns)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return computed(func, args, kwargs or {})


class _Fetched(torch.autograd.Function):
    """To memory."""

    @staticmethod
    def forward(ctx, given):
        return given.held.detach().clone()

    @staticmethod
    def backward(ctx, gradient):
        return OnGpu(gradient)


class _Computed(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return computed(func, args, kwargs or {})


class _Made(TorchFunctionMode):
    """What PyTorch's C++ code does by a device before the dispatcher is asked."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is Tensor.to and not isinstance(args[0], OnGpu) and isinstance(args[-1], OnGpu):
            return args[0].to(GPU, args[1].dtype)
        if func is nn.functional.one_hot and isinstance(args[0], OnGpu):
            return OnGpu(func(args[0].held, *args[1:], **kwargs))
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or CPU).type == "cuda":
            return func(*args, **kwargs | {"device": None}).to(GPU)
        return func(*args, **kwargs)


def computed(func, args, kwargs):
    """An operation on the CPU, and what it gives, where it would be."""
    flat, shape = tree_flatten((args, kwargs))
    there = [each for each in flat if isinstance(each, OnGpu)]
    here = [each for each in flat if isinstance(each, Tensor) and not isinstance(each, OnGpu)]
    meet = there and any(each.dim() for each in here)
    if meet and (func not in MAY_MEET or (func is aten.index.Tensor and args[0] is here[0])):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found two devices, cuda:0 and cpu ({func})"
        )
    if there and func in WAIT:
        wait()
    gone = {OnGpu: lambda each: each.held, torch.device: lambda each: CPU}
    all_here = [gone[type(each)](each) if type(each) in gone else each for each in flat]
    args_here, kwargs_here = tree_unflatten(all_here, shape)
    kwargs_here.pop("pin_memory", None)
    result = func(*args_here, **kwargs_here)
    if func is aten.copy_.default:
        return args[0]
    wanted = kwargs.get("device")
    goes_there = bool(there) if wanted is None else wanted.type == "cuda"
    known = {id(each.held): each for each in there} | {id(each): each for each in here}  # what was changed in place

    def placed(each):
        if not isinstance(each, Tensor):
            return each
        return known.get(id(each)) if id(each) in known else OnGpu(each) if goes_there else each

    return tree_map(placed, result)


def wait():
    """Note that somebody waits for the GPU."""
    frame, lines = sys._getframe(1), []
    while frame and len(lines) < 4:
        file = frame.f_code.co_filename
        if "/trainer/" in file or "/pytorch_lightning/" in file:
            lines.append(f"{file.rpartition('/')[2]}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    waits[" < ".join(lines)] += 1


@contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Within it PyTorch finds one GPU; gives who had to wait for it."""
    apply = nn.Module._apply
    facts = SimpleNamespace(name="fake", major=9, minor=0, total_memory=2**34, multi_processor_count=1)
    answers = {"is_available": True, "device_count": 1, "current_device": 0, "mem_get_info": (2**33, 2**34)}
    answers |= {"get_device_name": "fake", "get_device_capability": (9, 0), "get_device_properties": facts}
    answers |= {"get_rng_state_all": [], "memory_stats": {}}
    answers |= dict.fromkeys(["_lazy_init", "set_device", "empty_cache", "set_rng_state_all", "manual_seed_all"])
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None, raising=False)
    monkeypatch.setattr(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", lambda _: None, raising=False)
    # views of tensors that are no inference tensors cannot be made by a tensor's own Python code
    monkeypatch.setattr(torch, "inference_mode", lambda mode=True: torch.no_grad())

    def moved(self, fn, recurse=True):  # the parameters stay the objects that they are, as on a real one
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            return apply(self, fn, recurse)
        finally:
            torch.__future__.set_swap_module_params_on_conversion(False)

    monkeypatch.setattr(nn.Module, "_apply", moved)
    waits.clear()
    with _Made(), _Computed():
        yield waits
