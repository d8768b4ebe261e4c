"""Training step of stacked networks, whose losses, gradients, clipping and update are replayed from traces."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trainer.task.losses import NO_PENALTY
from trainer.training.fused.losses import compute_stacked_losses
from trainer.training.fused.prepared_network import PreparedNetwork
from trainer.training.fused.stack import Settings, StackedNetworks, StackedOptimizer, equal_ranges
from trainer.training.fused.work import StepPart
from trainer.training.loop.eligibility import is_fused
from trainer.training.loop.traced_steps import match_layout
from trainer.training.loop.verified_trace import VerifiedTrace

Clipping = tuple[str, Tensor]  # algorithm, and the limit of each run (runs,)
WHOLE_STEP = StepPart(index=0, size=1)


class StackedStep:
    """Step of several runs.

    Args:
        networks: Stacked networks.
        optimizer: Stacked optimizer.
        objectives: Settings of each run's objective; equal ones are adjacent.
        prepared: Network that is computed.
        clippings: Clipping of the gradients, in this order.
    """

    def __init__(
        self,
        networks: StackedNetworks,
        optimizer: StackedOptimizer,
        objectives: Sequence[Settings],
        prepared: PreparedNetwork,
        clippings: Sequence[Clipping],
    ) -> None:
        self.networks = networks
        self.optimizer = optimizer
        self.prepared = prepared
        self.clippings = [*clippings]
        self.gradients: list[Tensor] = []  # of the last step, or of its batches so far (runs, *shape)
        self._objectives = [(runs, networks.tasks[runs.start].objective) for runs in equal_ranges(objectives)]
        self._passes: dict[Any, VerifiedTrace] = {}  # by shape of the batches
        self._clip = VerifiedTrace("clipping of stacked gradients", self._run_clipping, is_timed=False)
        self._update = VerifiedTrace("stacked update", self._run_update, varying="lr", is_timed=False)
        if not all(map(is_fused, optimizer.parts)):
            self._update.reject("the optimizer is not fused")

    def compute_losses(
        self, inputs: Tensor, targets: Tensor, masks: Sequence[Tensor], part: StepPart = WHOLE_STEP
    ) -> tuple[Tensor, Tensor]:
        """Compute the gradients of a batch of each run, within `torch.no_grad`.

        Args:
            inputs: (runs, batch, *shape).
            targets: (runs, batch) or (runs, batch, values).
            masks: Masks of the dropout layers, in the order of their calls.
            part: The batch as a part of its step, whose gradients are the mean over its batches.

        Returns:
            tuple: Losses with and without penalties, both (runs,).
        """
        key = (inputs.shape, inputs.stride(), targets.shape, targets.stride())
        if key not in self._passes:
            self._passes[key] = VerifiedTrace(f"pass with inputs {[*inputs.shape]}", self._run_pass, is_timed=False)
        tensors = [*self.networks.tensors, inputs, targets, *masks]
        totals, losses, *gradients = self._passes[key](tensors, inputs, targets, masks)
        if part.size > 1:
            gradients = [gradient / part.size for gradient in gradients]
        if part.index:
            gradients = [*map(torch.add, self.gradients, gradients)]
        self.gradients = gradients
        return totals, losses

    def compute_norms(self) -> Tensor:
        """Return the norms of the last gradients, (runs,)."""
        return compute_norms(self.gradients)

    def clip(self) -> list[Tensor]:
        """Clip the last gradients; return their norms before each clipping, (runs,)."""
        return self._clip([*self.gradients, *(limits for _, limits in self.clippings)])

    def update(self, rates: Sequence[float]) -> None:
        """Update the weights with the last gradients, with the learning rate of each part of the optimizer."""
        self.optimizer.set_rates(rates)
        self._update([*self.gradients, *self.optimizer.tensors], values=rates)

    def _run_pass(self, inputs: Tensor, targets: Tensor, masks: Sequence[Tensor]) -> list[Tensor | None]:
        networks = self.networks
        with torch.enable_grad(), self.prepared.masks_in_use():
            outputs = vmap(self._compute_outputs, randomness="error")(
                networks.weights, networks.buffers, networks.scales, inputs, [*masks]
            )
            losses = torch.cat([self._compute_part(runs, item, outputs, targets) for runs, item in self._objectives])
            totals = losses + self._compute_penalties()
            gradients = torch.autograd.grad(totals.sum(), networks.trainable)
        pointers = {tensor.data_ptr() for tensor in (*networks.tensors, inputs, targets)}
        matched = [match_layout(*pair, pointers) for pair in zip(gradients, networks.trainable, strict=True)]
        return [totals.detach(), losses.detach(), *matched]

    def _compute_outputs(self, weights: Any, buffers: Any, scales: Any, inputs: Tensor, masks: Any) -> Any:
        self.prepared.masks = masks
        scale = self.networks.tasks[0].objective.target_scale
        with replaced_scales([scale], scales):
            return functional_call(self.prepared.net, (weights, buffers), (inputs,))

    def _compute_part(self, runs: range, objective: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the losses of a range of runs with the same objective, (runs,)."""
        scales = [values[:, None] for values in self.networks.scales]
        if len(runs) < len(outputs):
            part = slice(runs.start, runs.stop)
            outputs, targets, *scales = (values[part] for values in (outputs, targets, *scales))
        with replaced_scales([objective.target_scale], scales):
            return compute_stacked_losses(objective, outputs, targets)

    def _compute_penalties(self) -> Tensor | float:
        """Return the penalty of each run, (runs,); 0 if there are none."""
        if all(objective.penalty == NO_PENALTY for _, objective in self._objectives):
            return 0.0
        parts = []
        for runs, objective in self._objectives:
            weights = {name: weight[runs.start : runs.stop] for name, weight in self.networks.weights.items()}
            penalty = _Penalty(self.prepared.net, objective.penalty)
            parts.append(vmap(penalty.compute)(weights))
        return torch.cat(parts)

    def _run_clipping(self) -> list[Tensor | None]:
        norms: list[Tensor | None] = []
        for algorithm, limits in self.clippings:
            norm = compute_norms(self.gradients)
            norms.append(norm)
            for gradient in self.gradients:
                shape = (-1, *[1] * (gradient.dim() - 1))
                if algorithm == "norm":  # as `clip_grad_norm_` of PyTorch
                    gradient.mul_((limits / (norm + 1e-6)).clamp(max=1.0).view(shape))
                else:
                    gradient.clamp_(-limits.view(shape), limits.view(shape))
        return norms

    def _run_update(self) -> list[Tensor | None]:
        self.optimizer.step(self.gradients)
        return []


class _Penalty(nn.Module):
    def __init__(self, net: nn.Module, penalty: Any) -> None:
        super().__init__()
        self.net = net
        self.penalty = penalty

    def forward(self) -> Any:
        return self.penalty(self.net)

    def compute(self, weights: dict[str, Tensor]) -> Tensor:
        """Return the penalty on weights of one run, ()."""
        total = functional_call(self, {f"net.{name}": weight for name, weight in weights.items()}, ())
        return total if isinstance(total, Tensor) else 0 * next(iter(weights.values())).sum()


@contextmanager
def replaced_scales(scales: Sequence[Any], values: Sequence[Tensor]) -> Iterator[None]:
    """Replace mean and standard deviation of target scales in the block; None stands for no scale."""
    originals = [(scale, scale.mean, scale.std) for scale in scales if scale]
    for scale, *_ in originals:
        scale.mean, scale.std = values
    try:
        yield
    finally:
        for scale, mean, std in originals:
            scale.mean, scale.std = mean, std


def compute_norms(gradients: Sequence[Tensor]) -> Tensor:
    """Return the joint 2-norms of the gradients of each run, (runs,), as `get_total_norm` of PyTorch."""
    norms = [gradient.flatten(1).norm(dim=1) for gradient in gradients]
    return torch.stack(norms, 1).norm(dim=1)
