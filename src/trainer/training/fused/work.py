"""Work of runs that is computed together with equal work of other runs."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from trainer.data.loading.tensor_loader import TensorLoader


class FusionError(Exception):
    """Runs cannot be trained together; the message is the reason. Nothing was changed."""


@dataclass(frozen=True)
class Request:
    """Work of a run that is computed together with equal work of other runs.

    Args:
        key: Work of two runs is computed together if their keys and structures are equal.
        structure: Structure of the run, which determines the stack that it belongs to.
        position: Number of steps of the run so far; the group continues with the runs that are behind.
        work: Description of the work, for the function that computes it.
    """

    key: Hashable
    structure: Hashable
    position: int
    work: Any


@dataclass(frozen=True)
class StepPart:
    """A batch as a part of a step of the optimizer, which may accumulate the gradients of several batches.

    Args:
        index: Index of the batch in its step.
        size: Number of batches of the step.
    """

    index: int
    size: int

    @property
    def is_last(self) -> bool:
        """Return whether the optimizer updates the weights after this batch."""
        return self.index == self.size - 1


@dataclass
class SegmentWork:
    """Steps of one run.

    Args:
        task: Task of the run.
        optimizer: Its optimizer.
        loader: Loader of the training; the steps continue at its position.
        parts: Each batch, as a part of its step.
        rates: Learning rate of each step.
        limits: Algorithm and limit of each clipping.
        logged: Indices of the steps whose gradient norm is needed.
    """

    task: Any
    optimizer: Any
    loader: TensorLoader
    parts: tuple[StepPart, ...]
    rates: tuple[float, ...]
    limits: tuple[tuple[str, float], ...]
    logged: frozenset[int]

    @property
    def ends(self) -> list[int]:
        """Index of the last batch of each step."""
        return [index for index, part in enumerate(self.parts) if part.is_last]


@dataclass
class SegmentResult:
    """Values of the steps of one run.

    Args:
        totals: Losses with penalties, (batches,).
        losses: Losses without penalties, (batches,).
        norms: Norms of the gradients before clipping, (logged steps,).
        clipping_norms: Norms before each clipping, (steps, clippings).
    """

    totals: Tensor
    losses: Tensor
    norms: Tensor
    clipping_norms: Tensor


@dataclass
class EvaluationWork:
    """Evaluation of one run.

    Args:
        task: Task of the run, in evaluation mode.
        loader: Loader of the examples.
    """

    task: Any
    loader: TensorLoader
