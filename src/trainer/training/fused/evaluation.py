"""Outputs of the networks of several runs, for all batches of a validation or test."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from trainer.training.fused.batches import share_examples
from trainer.training.fused.member import Member
from trainer.training.fused.prepared_network import PreparedNetwork
from trainer.training.fused.stacked_step import replaced_scales
from trainer.training.fused.work import EvaluationWork, FusionError
from trainer.training.loop.eligibility import format_error


def evaluate_together(works: Mapping[Member, EvaluationWork]) -> dict[Member, list[Tensor]]:
    """Return the outputs of each run for each batch, (batch, output_size).

    Raises:
        FusionError: PyTorch cannot batch an operation.
    """
    try:
        return _evaluate(works)
    except Exception as error:
        raise FusionError(format_error(error)) from error


def _evaluate(works: Mapping[Member, EvaluationWork]) -> dict[Member, list[Tensor]]:
    tasks = [work.task for work in works.values()]
    loaders = [work.loader for work in works.values()]
    scale = tasks[0].objective.target_scale
    prepared = PreparedNetwork(tasks[0].net, scale, ()).net.eval()
    weights, buffers = stack_module_state([task.net for task in tasks])
    scales = [task.objective.target_scale.tensors for task in tasks if scale]
    stacked_scales = [torch.stack(parts) for parts in zip(*scales, strict=True)]
    is_shared = all(share_examples(loader, loaders[0]) for loader in loaders[1:])

    def compute(weights: Any, buffers: Any, scale_values: Any, inputs: Tensor) -> Any:
        with replaced_scales([scale], scale_values):
            return functional_call(prepared, (weights, buffers), (inputs,))

    outputs: list[Tensor] = []
    for batches in zip(*loaders[: 1 if is_shared else None], strict=True):
        inputs = batches[0][0] if is_shared else torch.stack([batch[0] for batch in batches])
        function = vmap(compute, in_dims=(0, 0, 0, None if is_shared else 0), randomness="error")
        outputs.append(function(weights, buffers, stacked_scales, inputs))
    return {member: [output[row] for output in outputs] for row, member in enumerate(works)}
