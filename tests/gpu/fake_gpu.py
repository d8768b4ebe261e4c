"""Simulated GPU, for tests on machines without one.

Its tensors store their values in memory and compute on the CPU, but their device is `cuda:0`. They raise errors when
they are combined with CPU tensors or converted to NumPy arrays, and they count the code that waits for their values.
CUDA kernels, autocast, pinned memory and several GPUs are not simulated.
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
MIXED_DEVICE_OPS = {
    aten.copy_.default,
    aten._to_copy.default,
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
}
SYNCHRONIZING_OPS = {aten._local_scalar_dense.default, aten.nonzero.default, aten._unique2.default, aten.equal.default}

waits: Counter[str] = Counter()  # by the lines of this package and of Lightning that waited


class GpuTensor(Tensor):
    """Tensor on the simulated GPU; `stored` is the CPU tensor with its values."""

    @staticmethod
    def __new__(cls, data):
        return Tensor._make_wrapper_subclass(
            cls,
            data.shape,
            strides=data.stride(),
            storage_offset=data.storage_offset(),
            dtype=data.dtype,
            layout=data.layout,
            device=CPU,  # autograd then needs no driver
        )

    def __init__(self, data):
        self.stored = data

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def get_device(self):
        return 0

    def cuda(self, *_, **__):
        return self

    def cpu(self, *_, **__):
        count_wait()
        return _CopyToCpu.apply(self)

    def to(self, *args, copy=False, **kwargs):
        if args and isinstance(args[0], Tensor):
            device, dtype, layout = args[0].device, args[0].dtype, None
        else:
            device, dtype, _, layout = torch._C._nn._parse_to(*args, **kwargs)
        tensor = self if device is None or device.type == "cuda" else self.cpu()
        options = {} if layout is None else {"memory_format": layout}
        return Tensor.to(tensor, dtype=dtype or tensor.dtype, copy=copy, **options)

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor first.")

    __array__ = numpy

    def tolist(self):
        return self.cpu().tolist()

    def __repr__(self, **_):
        return f"GpuTensor({self.stored!r})"

    def __format__(self, spec):
        return format(self.detach().cpu(), spec)

    def __reduce_ex__(self, protocol):
        return self._like(self.detach().cpu()).__reduce_ex__(protocol)

    def __deepcopy__(self, memo):
        return memo.setdefault(id(self), self._like(self.detach().clone()))

    def _like(self, other):
        requires_grad = self.requires_grad
        if isinstance(self, nn.Parameter):
            return nn.Parameter(other, requires_grad)
        return other.requires_grad_(requires_grad)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run_operation(func, args, kwargs or {})


class _CopyToCpu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor):
        return tensor.stored.detach().clone()

    @staticmethod
    def backward(ctx, gradient):
        return GpuTensor(gradient)


class _DispatchMode(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run_operation(func, args, kwargs or {})


class _FunctionMode(TorchFunctionMode):
    """Replaces PyTorch's C++ code that depends on the device and runs before the dispatcher."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is Tensor.to and not isinstance(args[0], GpuTensor) and isinstance(args[-1], GpuTensor):
            return args[0].to(GPU, args[1].dtype)
        if func is nn.functional.one_hot and isinstance(args[0], GpuTensor):
            return GpuTensor(func(args[0].stored, *args[1:], **kwargs))
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or CPU).type == "cuda":
            return func(*args, **kwargs | {"device": None}).to(GPU)
        return func(*args, **kwargs)


def run_operation(func, args, kwargs):
    """Run an operation on the CPU, and return its results on the device on which they would be."""
    flat, structure = tree_flatten((args, kwargs))
    gpu_tensors = [value for value in flat if isinstance(value, GpuTensor)]
    cpu_tensors = [value for value in flat if isinstance(value, Tensor) and not isinstance(value, GpuTensor)]
    is_mixed = gpu_tensors and any(tensor.dim() for tensor in cpu_tensors)
    if is_mixed and (func not in MIXED_DEVICE_OPS or (func is aten.index.Tensor and args[0] is cpu_tensors[0])):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found two devices, cuda:0 and cpu ({func})"
        )
    if gpu_tensors and func in SYNCHRONIZING_OPS:
        count_wait()
    converters = {GpuTensor: lambda tensor: tensor.stored, torch.device: lambda device: CPU}
    converted = [converters[type(value)](value) if type(value) in converters else value for value in flat]
    cpu_args, cpu_kwargs = tree_unflatten(converted, structure)
    cpu_kwargs.pop("pin_memory", None)
    result = func(*cpu_args, **cpu_kwargs)
    if func is aten.copy_.default:
        return args[0]
    is_gradient = torch._C._current_autograd_node() is not None  # its device is that of the stored tensor
    device = None if is_gradient else kwargs.get("device")
    is_on_gpu = bool(gpu_tensors) if device is None else device.type == "cuda"
    # results of in-place operations
    arguments = {id(tensor.stored): tensor for tensor in gpu_tensors} | {id(tensor): tensor for tensor in cpu_tensors}

    def place(value):
        if not isinstance(value, Tensor):
            return value
        if id(value) in arguments:
            return arguments[id(value)]
        return GpuTensor(value) if is_on_gpu else value

    return tree_map(place, result)


def count_wait():
    """Count a wait for the GPU."""
    frame = sys._getframe(1)
    lines = []
    while frame and len(lines) < 4:
        file = frame.f_code.co_filename
        if "/trainer/" in file or "/pytorch_lightning/" in file:
            lines.append(f"{file.rpartition('/')[2]}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    waits[" < ".join(lines)] += 1


@contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Simulate one GPU within the context; yield the number of waits by code location."""
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
    # Python code of a tensor class cannot create views of tensors outside inference mode
    monkeypatch.setattr(torch, "inference_mode", lambda mode=True: torch.no_grad())

    def apply_in_place(self, fn, recurse=True):  # keeps the parameter objects, as on a real GPU
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            return apply(self, fn, recurse)
        finally:
            torch.__future__.set_swap_module_params_on_conversion(False)

    monkeypatch.setattr(nn.Module, "_apply", apply_in_place)
    waits.clear()
    with _FunctionMode(), _DispatchMode():
        yield waits
