"""Eager: whether a layer may make its numbers in another way than PyTorch's own, which is made for all cases."""

import torch
from torch import Tensor, nn


def is_eager(tensor: Tensor) -> bool:
    """Whether this is a plain tensor on a CPU, and nobody compiles, exports, traces or transforms its use."""
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        and not torch._C._are_functorch_transforms_active()
        and tensor.is_cpu
        and type(tensor) in (Tensor, nn.Parameter)
    )
