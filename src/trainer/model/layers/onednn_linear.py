"""Linear layer that computes large products with oneDNN on AMD processors with AVX-512, in half the time.

PyTorch multiplies float32 matrices on x86 with MKL, which only uses AVX-512 on Intel processors. oneDNN, which PyTorch
uses for convolutions, also uses it on others.
"""
# many PyTorch functions used here have no types
# mypy: disable-error-code="no-untyped-call,misc"

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from trainer.model.layers.eager_check import is_eager

MIN_PRODUCTS = 2**22  # multiplications; with fewer, the overhead of the calls is larger than the gain


class Linear(nn.Linear):
    """Linear layer with the same weights and names as PyTorch's; results differ by rounding.

    The environment variable `ATEN_CPU_CAPABILITY=avx2` disables it, and all other use of AVX-512 in PyTorch.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        is_large = is_eager(inputs) and inputs.numel() * self.out_features >= MIN_PRODUCTS
        if not is_large or not is_supported(inputs, self.weight):
            return super().forward(inputs)
        outputs: Tensor = _LinearFunction.apply(inputs.flatten(0, -2), self.weight, self.bias)
        return outputs.unflatten(0, inputs.shape[:-1])


def is_supported(inputs: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN supports a product of these tensors and is faster on this processor."""
    return (
        is_eager(weight)
        and inputs.dim() > 1
        and inputs.dtype == weight.dtype == torch.float32
        and is_onednn_faster()
        and not torch.is_autocast_enabled("cpu")
    )


@cache
def is_onednn_faster() -> bool:
    """Return whether this is an AMD processor with AVX-512 and PyTorch has MKL and oneDNN."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    cpuinfo = Path("/proc/cpuinfo")
    return (
        cpuinfo.is_file()
        and "AuthenticAMD" in cpuinfo.read_text()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # used by `torch.compile` for linear layers
    )


class _LinearFunction(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _onednn_linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        [gradient] = gradients
        inputs, weight = ctx.saved_tensors
        needs_inputs, needs_weight, needs_bias = ctx.needs_input_grad
        # second derivatives need a differentiable function
        linear = torch.nn.functional.linear if torch.is_grad_enabled() else _onednn_linear
        return (
            linear(gradient, weight.t()) if needs_inputs else None,
            linear(gradient.t(), inputs.t()) if needs_weight else None,
            gradient.sum(0) if needs_bias else None,
        )


def _onednn_linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute `torch.nn.functional.linear` of matrices."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return product
