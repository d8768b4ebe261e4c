"""Linear layers whose large products are made by oneDNN where PyTorch's own library goes at half its pace.

PyTorch multiplies matrices of float32 on x86 by MKL, which uses no AVX-512 on processors that are not Intel's; oneDNN,
by which PyTorch makes convolutions, does. So on AMD's processors with AVX-512 a product takes half the time.
"""
# PyTorch leaves much of this without types
# mypy: disable-error-code="no-untyped-call,misc"

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from trainer.model.layers.eager_check import is_eager

FEWEST_PRODUCTS = 2**22  # of numbers; with fewer, the calls take as long as what is saved


class Linear(nn.Linear):
    """PyTorch's linear layer, with the same weights under the same names; numbers differ by rounding.

    The environment variable `ATEN_CPU_CAPABILITY=avx2` switches it off, and with it all that PyTorch itself does by
    AVX-512.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        is_large = is_eager(inputs) and inputs.numel() * self.out_features >= FEWEST_PRODUCTS
        if not is_large or not is_fit(inputs, self.weight):
            return super().forward(inputs)
        outputs: Tensor = _Product.apply(inputs.flatten(0, -2), self.weight, self.bias)
        return outputs.unflatten(0, inputs.shape[:-1])


def is_fit(inputs: Tensor, weight: Tensor) -> bool:
    """Whether a product is one of float32, on a processor where oneDNN is faster."""
    return (
        is_eager(weight)
        and inputs.dim() > 1
        and inputs.dtype == weight.dtype == torch.float32
        and is_faster()
        and not torch.is_autocast_enabled("cpu")
    )


@cache
def is_faster() -> bool:
    """Whether this is an AMD processor with AVX-512, and PyTorch one that multiplies by MKL and has oneDNN."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    facts = Path("/proc/cpuinfo")
    is_amd = facts.is_file() and "AuthenticAMD" in facts.read_text()
    return (
        is_amd
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # what `torch.compile` makes of linear layers
    )


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _times(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        [gradient], (inputs, weight) = gradients, ctx.saved_tensors
        needs_inputs, needs_weight, needs_bias = ctx.needs_input_grad
        # a gradient that is to be differentiated again is made by what knows its own
        times = torch.nn.functional.linear if torch.is_grad_enabled() else _times
        return (
            times(gradient, weight.t()) if needs_inputs else None,
            times(gradient.t(), inputs.t()) if needs_weight else None,
            gradient.sum(0) if needs_bias else None,
        )


def _times(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` of matrices."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return product
