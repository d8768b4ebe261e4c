"""Group of runs that one process executes in turns, and whose steps and evaluations it computes together."""

import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch

from trainer.training.fused.evaluation import evaluate_together
from trainer.training.fused.member import Member
from trainer.training.fused.process_state import ProcessState
from trainer.training.fused.segment import StackedSegments
from trainer.training.fused.work import EvaluationWork, Request

log = logging.getLogger(__name__)


def run_group(functions: Sequence[Callable[[], None]], *, is_required: bool = False) -> None:
    """Execute runs, and compute together what is equal in several of them.

    A run that is alone, or ends early, does not affect the others. The functions handle the exceptions of their runs.

    Args:
        functions: Functions that execute the runs.
        is_required: Whether a run fails if its steps cannot be computed together with those of others.
    """
    members = [Member(function, len(functions), is_required=is_required) for function in functions]
    stacks: defaultdict[Hashable, StackedSegments] = defaultdict(StackedSegments)  # by structure
    state = ProcessState()
    try:
        for member in members:
            member.proceed()
        while waiting := {member: member.request for member in members if member.request}:
            for member, result in _compute_next(waiting, stacks).items():
                member.proceed(result)
    finally:
        state.restore()


def _compute_next(waiting: Mapping[Member, Request], stacks: Mapping[Hashable, StackedSegments]) -> dict[Member, Any]:
    """Compute the equal requests of the runs that are behind; return the result of each of these runs, or an error."""
    first = min(waiting.values(), key=lambda request: request.position)
    equal = (first.key, first.structure)
    works = {member: request.work for member, request in waiting.items() if (request.key, request.structure) == equal}
    try:
        with torch.no_grad():
            if isinstance(first.work, EvaluationWork):
                return {**evaluate_together(works)}
            return {**stacks[first.structure].train(works)}
    except Exception as error:
        log.debug("runs are not computed together", exc_info=error)
        return dict.fromkeys(works, error)
