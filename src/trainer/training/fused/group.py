"""Group of runs that one process executes in turns, and whose steps and evaluations it computes together."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from trainer.training.fused.evaluation import evaluate_together
from trainer.training.fused.member import Member
from trainer.training.fused.segment import StackedSegments
from trainer.training.fused.work import EvaluationWork
from trainer.training.loop.eligibility import format_error

log = logging.getLogger(__name__)


def run_group(functions: Sequence[Callable[[], None]]) -> None:
    """Execute runs, and compute together what is equal in several of them.

    A run that is alone, or ends early, does not affect the others. Exceptions of the functions are not handled.

    Args:
        functions: Functions that execute the runs.
    """
    members = [Member(function, len(functions)) for function in functions]
    segments = StackedSegments()
    for member in members:
        member.proceed()
    while waiting := [member for member in members if member.request]:
        for member, result in _compute_next(waiting, segments).items():
            member.proceed(result)


def _compute_next(waiting: Sequence[Member], segments: StackedSegments) -> dict[Member, Any]:
    """Compute the equal requests of the runs that are behind; return the result of each of these runs."""
    requests = {member: member.request for member in waiting if member.request}
    first = min(requests.values(), key=lambda request: request.position)
    works = {member: request.work for member, request in requests.items() if request.key == first.key}
    compute: Any = evaluate_together if isinstance(first.work, EvaluationWork) else segments.train
    try:
        with torch.no_grad():
            results: dict[Member, Any] = compute(works)
    except Exception as error:  # operations that PyTorch cannot batch; or memory
        log.debug("runs are not computed together", exc_info=error)
        segments.separate()
        for member in works:
            member.reason_alone = format_error(error)
        return dict.fromkeys(works)
    return results
