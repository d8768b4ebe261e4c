"""Linear layers of several runs, with the rounding of a layer alone.

PyTorch computes stacked linear layers by other products in the backward pass, whose last digits differ. Over thousands
of steps such differences grow.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class StackedLinear(torch.autograd.Function):
    """Linear layers of several runs.

    Shapes:
        inputs: (runs, rows, in_features)
        weight: (runs, out_features, in_features)
        bias: (runs, out_features)
        returns: (runs, rows, out_features)
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.has_bias = bias is not None
        if bias is None:
            return torch.bmm(inputs, weight.transpose(1, 2))
        return torch.baddbmm(bias[:, None], inputs, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        of_inputs = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        of_weight = torch.bmm(gradient.transpose(1, 2), inputs)
        return of_inputs, of_weight, gradient.sum(1) if ctx.has_bias else None


class BatchableLinear(torch.autograd.Function):
    """`linear` for use in `vmap`, where all three arguments are batched: calls `StackedLinear`."""

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(inputs, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        raise NotImplementedError("only for use in vmap")

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], inputs: Tensor, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, int]:
        runs = info.batch_size
        rows = inputs.movedim(in_dims[0], 0) if in_dims[0] is not None else inputs.expand(runs, *inputs.shape)
        flat = rows.reshape(runs, -1, rows.shape[-1])
        outputs = StackedLinear.apply(flat, weight, bias)
        return outputs.view(*rows.shape[:-1], weight.shape[1]), 0
