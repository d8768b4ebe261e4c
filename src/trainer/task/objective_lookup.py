"""Objective of any task, and what a run records of it."""

from typing import Any

from torch import Tensor

from trainer.core.spec import is_pair
from trainer.task.objective import Objective


def find_objective(task: Any, outputs: Any, batch: Any) -> Objective | None:
    """Return the objective of a task whose step has returned the outputs of a batch of inputs and targets, else None.

    Args:
        task: Task, which need not have an objective.
        outputs: Return value of its validation or test step.
        batch: Argument of the step.
    """
    objective = getattr(task, "objective", None)
    is_supported = isinstance(objective, Objective) and isinstance(outputs, Tensor) and is_pair(batch)
    return objective if is_supported else None


def describe_threshold(task: Any) -> dict[str, float]:
    """Return the entry of `result.json` with the decision threshold that a validation has chosen, if there is one."""
    objective = getattr(task, "objective", None)
    threshold = objective.threshold.state() if isinstance(objective, Objective) else None
    return {} if threshold is None else {"threshold": threshold}
