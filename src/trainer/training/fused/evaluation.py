"""Outputs of their networks for all batches of a validation or test."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from trainer.training.fused.batches import share_examples
from trainer.training.fused.member import Member
from trainer.training.fused.stacked_step import replaced_scales
from trainer.training.fused.work import EvaluationWork


def evaluate_together(works: Mapping[Member, EvaluationWork]) -> dict[Member, list[Tensor]]:
    """Return the outputs of each run for each batch, (batch, output_size)."""
    tasks = [work.task for work in works.values()]
    loaders = [work.loader for work in works.values()]
    net = tasks[0].net
    weights, buffers = stack_module_state([task.net for task in tasks])
    scale = tasks[0].objective.target_scale
    scales = [task.objective.target_scale.tensors for task in tasks if scale]
    stacked_scales = [torch.stack(parts) for parts in zip(*scales, strict=True)]
    is_shared = all(share_examples(loader, loaders[0]) for loader in loaders[1:])

    def compute(weights: Any, buffers: Any, scale_values: Any, inputs: Tensor) -> Any:
        with replaced_scales([scale] if scale else [], scale_values):
            return functional_call(net, (weights, buffers), (inputs,))

    outputs: list[Tensor] = []
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        for batches in zip(*loaders[: 1 if is_shared else None], strict=True):
            inputs = batches[0][0] if is_shared else torch.stack([batch[0] for batch in batches])
            function = vmap(compute, in_dims=(0, 0, 0, None if is_shared else 0), randomness="error")
            outputs.append(function(weights, buffers, stacked_scales, inputs))
    finally:
        for module, mode in modes:
            module.training = mode
    return {member: [output[row] for output in outputs] for row, member in enumerate(works)}
