"""Training steps of several runs between two points at which a validation or a checkpoint may be due."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.training.fused.batches import count_examples, read_batches
from trainer.training.fused.member import Member
from trainer.training.fused.prepared_network import PreparedNetwork, find_dropout_layers
from trainer.training.fused.stack import Settings, StackedNetworks, StackedOptimizer, read_settings
from trainer.training.fused.stacked_step import StackedStep
from trainer.training.fused.verification import require_equal_pass
from trainer.training.fused.work import FusionError, SegmentResult, SegmentWork
from trainer.training.loop.eligibility import format_error


class StackedSegments:
    """Trains runs of equal structure; keeps their stacked weights from one segment to the next."""

    def __init__(self) -> None:
        self._members: list[Member] = []  # runs in the stack, in its order
        self._active: set[Member] = set()  # those that are still trained; the weights of others are ignored
        self._step: StackedStep | None = None
        self._is_verified = False
        self._states: dict[Member, Any] = {}  # settings and tensors of the runs in the stack

    def train(self, works: Mapping[Member, SegmentWork]) -> dict[Member, SegmentResult]:
        """Train runs for one segment of equal length; return their results.

        Raises:
            FusionError: PyTorch cannot batch an operation, or losses or gradients differ from those of a run alone.
        """
        step = self._prepare(works)
        spare = next(iter(works.values()))  # for runs that have ended
        rows = [works.get(member, spare) for member in self._members]
        batches = {id(work): read_batches(work.loader, len(work.parts)) for work in works.values()}
        sizes = count_examples(spare.loader, len(spare.parts))
        parts = zip(*(batches[id(row)] for row in rows), strict=True)
        inputs, targets = (torch.split(torch.stack(tensors), sizes, 1) for tensors in parts)
        generators = [_make_generator(member) for member in self._members] if step.prepared.needs_masks else []
        if not self._is_verified:
            self._verify(step, inputs[0], targets[0])
        if spare.parts[0].index:
            step.gradients = step.networks.stack_gradients()
        values = self._run(step, inputs, targets, generators, rows)
        results = {}
        for row, member in enumerate(self._members):
            if member not in works:
                continue
            results[member] = SegmentResult(*(value[..., row] for value in values))
            if generators:
                member.torch_random = generators[row].get_state()
            for weight, gradient in zip(step.networks.trainable_of(row), step.gradients, strict=True):
                weight.grad = gradient[row]
        return results

    def _verify(self, step: StackedStep, inputs: Tensor, targets: Tensor) -> None:
        """Compare the first pass with those of runs alone; if it is different, give all runs tensors of their own."""
        try:
            require_equal_pass(step, inputs, targets, [member.torch_random for member in self._members])
        except Exception as error:
            self._release(self._active)
            self._step = None
            raise FusionError(format_error(error)) from error
        self._is_verified = True

    def _run(
        self,
        step: StackedStep,
        inputs: Sequence[Tensor],
        targets: Sequence[Tensor],
        generators: Sequence[torch.Generator],
        rows: Sequence[SegmentWork],
    ) -> list[Tensor]:
        """Run the steps; return losses with and without penalties, norms and norms of clippings (steps, ..., runs)."""
        part_rates = [self._rates_of(runs, rows) for runs in step.optimizer.ranges]
        totals, losses, norms, clipping_norms = [], [], [torch.empty(0, len(rows))], []
        index = 0  # of the step
        for batch_inputs, batch_targets, part in zip(inputs, targets, rows[0].parts, strict=True):
            masks = step.prepared.draw_masks(batch_inputs, generators)
            total, loss = step.compute_losses(batch_inputs, batch_targets, masks, part)
            totals.append(total)
            losses.append(loss)
            if not part.is_last:
                continue
            if index in rows[0].logged:
                norms.append(step.compute_norms()[None])
            if step.clippings:
                clipping_norms.append(torch.stack(step.clip()))
            step.update([rates[index] for rates in part_rates])
            index += 1
        return [
            *map(torch.stack, (totals, losses)),
            torch.cat(norms),
            torch.stack(clipping_norms) if clipping_norms else torch.empty(0, len(step.clippings), len(rows)),
        ]

    def _rates_of(self, runs: range, rows: Sequence[SegmentWork]) -> tuple[float, ...]:
        """Return the rates of a range of runs, which are equal in those that are trained."""
        return next((rows[run].rates for run in runs if self._members[run] in self._active), rows[runs.start].rates)

    def _prepare(self, works: Mapping[Member, SegmentWork]) -> StackedStep:
        """Return the step of a stack of these runs; build a new one if runs were added or half of them have ended."""
        self._release(self._active - works.keys())
        if self._step and self._active == works.keys() and 2 * len(works) > len(self._members):
            rates = [
                {works[self._members[run]].rates for run in runs if self._members[run] in works}
                for runs in self._step.optimizer.ranges
            ]
            is_changed = any(self._states[member] != _read_state(work) for member, work in works.items())
            if not is_changed and all(len(values) <= 1 for values in rates):
                return self._step
        settings = {member: _read_settings(work) for member, work in works.items()}
        self._members = sorted(works, key=lambda member: repr(settings[member]))
        self._active = {*works}
        self._step = _build_step([works[member] for member in self._members])
        self._states = {member: _read_state(work) for member, work in works.items()}
        return self._step

    def _release(self, members: set[Member]) -> None:
        """Give runs that are not trained with the others any more tensors of their own."""
        if self._step:
            for member in members:
                self._step.networks.release(self._members.index(member))
                self._step.optimizer.release(self._members.index(member))
        self._active = self._active - members


def _build_step(works: Sequence[SegmentWork]) -> StackedStep:
    """Return the step of runs, of which those with equal settings are adjacent."""
    settings = [_read_settings(work) for work in works]
    networks = StackedNetworks([work.task for work in works])
    optimizer = StackedOptimizer(networks, [work.optimizer for work in works], settings)
    scale = works[0].task.objective.target_scale
    rates = [[layer.p for layer in find_dropout_layers(work.task.net)] for work in works]
    limits = zip(*(work.limits for work in works), strict=True)
    clippings = [(clipping[0][0], torch.tensor([limit for _, limit in clipping])) for clipping in limits]
    objectives = [_read_objective(work.task.objective) for work in works]
    return StackedStep(networks, optimizer, objectives, PreparedNetwork(networks.net, scale, rates), clippings)


def _read_settings(work: SegmentWork) -> Settings:
    """Return all settings of a run that are numbers in the code of objective and optimizer."""
    return _read_objective(work.task.objective), read_settings(work.optimizer), work.rates


def _read_state(work: SegmentWork) -> Any:
    """Return the settings of a run, and its tensors, which callbacks may replace between two segments."""
    [group] = work.optimizer.param_groups
    states = [value for state in work.optimizer.state.values() for value in state.values()]
    tensors = [*work.task.net.parameters(), *work.task.net.buffers(), *states]
    return (
        _read_objective(work.task.objective),
        [(name, value) for name, value in group.items() if name not in ("params", "lr", "initial_lr")],
        [layer.p for layer in find_dropout_layers(work.task.net)],
        [tensor.data_ptr() for tensor in tensors if isinstance(tensor, Tensor) and tensor.dim()],
    )


def _read_objective(objective: Any) -> Settings:
    """Return the settings of an objective that its loss depends on, except the target scale."""
    penalty = objective.penalty
    return type(objective).__name__, objective.loss_settings, (penalty.l1, penalty.l2)


def _make_generator(member: Member) -> torch.Generator:
    generator = torch.Generator()
    generator.set_state(member.torch_random)
    return generator
