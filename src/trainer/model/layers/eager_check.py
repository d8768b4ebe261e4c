"""Check that a layer may use a faster implementation than that of PyTorch, which supports all cases."""

import torch
from torch import Tensor, nn


def is_eager(tensor: Tensor) -> bool:
    """Return whether this is a plain CPU tensor that is not being compiled, exported, traced or transformed."""
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        and not torch._C._are_functorch_transforms_active()
        and tensor.is_cpu
        and type(tensor) in (Tensor, nn.Parameter)
    )
