"""Comparison of the first pass of stacked networks with those of runs alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.training.fused.stacked_step import StackedStep
from trainer.training.fused.work import FusionError

MAX_RELATIVE_DIFFERENCE = 1e-4
MAX_RELATIVE_NOISE = 1e-6  # of loss and all gradients


def require_equal_pass(step: StackedStep, inputs: Tensor, targets: Tensor, random: Sequence[Tensor]) -> None:
    """Compare losses and gradients of the first and the last run with those of their own networks; change nothing.

    Args:
        step: Step of the stack.
        inputs: First batch of each run, (runs, batch, *shape).
        targets: Its targets, (runs, batch) or (runs, batch, values).
        random: State of the random number generator of each run.

    Raises:
        FusionError: They differ.
    """
    buffers = {name: buffer.clone() for name, buffer in step.networks.buffers.items()}
    generators = [torch.Generator() for _ in random]
    for generator, state in zip(generators, random, strict=True):
        generator.set_state(state)
    totals, _ = step.compute_losses(inputs, targets, step.prepared.draw_masks(inputs, generators))
    stacked = [totals, *step.gradients]
    for run in {0, len(random) - 1}:
        _restore(step, buffers)
        alone = _run_alone(step, run, inputs[run], targets[run], random[run])
        # gradients that are 0 in theory, as those of biases before batch norm, are rounding errors of the others
        noise = MAX_RELATIVE_NOISE * torch.stack([tensor.norm() for tensor in alone]).norm()
        if not noise.isfinite():
            continue
        for first, second in zip(stacked, alone, strict=True):
            error = (first[run] - second).norm()
            if not error <= MAX_RELATIVE_DIFFERENCE * second.norm() + noise:
                raise FusionError("its loss or gradients differ from those of a run alone")
    _restore(step, buffers)


def _run_alone(step: StackedStep, run: int, inputs: Tensor, targets: Tensor, random: Tensor) -> list[Any]:
    """Return loss and gradients of one run, computed by its own network."""
    task = step.networks.tasks[run]
    weights = step.networks.trainable_of(run)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.set_rng_state(random)
        loss = task.objective.loss(task.net(inputs), targets) + task.objective.penalty(task.net)
        return [loss, *torch.autograd.grad(loss, weights)]


def _restore(step: StackedStep, buffers: dict[str, Tensor]) -> None:
    for name, buffer in buffers.items():
        step.networks.buffers[name].copy_(buffer)
