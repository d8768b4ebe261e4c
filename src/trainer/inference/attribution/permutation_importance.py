"""Permutation importance of the columns of a table."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.core.metric_direction import (
    UNKNOWN_DIRECTION_MESSAGE,
    Direction,
    collect_metric_directions,
    infer_direction,
)
from trainer.task.metric_accumulator import MetricAccumulator
from trainer.task.metrics import select_metrics
from trainer.task.objective import Objective

FORWARD_ROWS = 4096  # rows in a forward pass

Network = Callable[[Tensor], Tensor]
Score = Callable[[Tensor], float]


def find_direction(objective: Objective, metric: str) -> Direction | None:
    """Return whether small (`min`) or large values (`max`) of a metric of the objective are good; None if unknown."""
    return infer_direction(metric, collect_metric_directions(objective))


def choose_metric(objective: Objective, metric: str | None, key: str) -> str:
    """Return a metric of an objective, by default its first one, or the loss if it has none.

    Args:
        objective: Objective of the training.
        metric: Name of a metric, or `"loss"`; None for the default.
        key: Config key of the metric, for messages.

    Raises:
        UserError: The metric is unknown, or it is unknown whether small or large values of it are good.
    """
    names = [*select_metrics(objective.spec, objective.metric_selection), "loss"]
    chosen = metric or names[0]
    if chosen not in names:
        raise UserError(f"{key}: the objective has no metric '{chosen}'{did_you_mean(chosen, names)}")
    if find_direction(objective, chosen) is None:
        raise UserError(f"{key}: {UNKNOWN_DIRECTION_MESSAGE.format(chosen)}; expected {' or '.join(names)}")
    return chosen


def make_score(net: Network, objective: Objective, targets: Tensor, metric: str) -> Score:
    """Return a function that measures a network for inputs (rows, features); a large score is good.

    Args:
        net: Network in evaluation mode.
        objective: Objective of its training.
        targets: Targets of the rows: (rows,) classes, or (rows, output_size) values.
        metric: Metric of the objective, or `"loss"`; its negative is the score if small values are good.
    """
    accumulator = MetricAccumulator(objective).to(targets.device)
    sign = -1 if find_direction(objective, metric) == "min" else 1

    def score(inputs: Tensor) -> float:
        outputs = torch.cat([net(rows) for rows in torch.split(inputs, FORWARD_ROWS)])
        if metric == "loss":
            return sign * objective.loss(outputs, targets).item()
        accumulator.update(outputs, targets)
        return sign * accumulator.compute()[metric].item()

    return score


def draw_permutations(rows: int, repeats: int, seed: int) -> list[Tensor]:
    """Return random permutations of row indices, (rows,) each, which depend on the arguments alone."""
    random = np.random.default_rng(seed)
    return [torch.from_numpy(random.permutation(rows)) for _ in range(repeats)]


def compute_importances(
    score: Score, inputs: Tensor, groups: Sequence[Sequence[int]], permutations: Sequence[Tensor]
) -> Tensor:
    """Return the decrease of a score if a group of inputs is permuted over the rows: (groups, permutations).

    All inputs of a group get the values of the same other row, and all groups are permuted in the same ways.

    Args:
        score: Function of inputs (rows, features), from `make_score`.
        inputs: Network inputs (rows, features).
        groups: Indices of the features of each group.
        permutations: Row indices (rows,) of each repetition.

    Source:
        Breiman 2001, Random forests, section 10; definition as in `sklearn.inspection.permutation_importance`.
    """
    reference = score(inputs)
    decreases = torch.zeros(len(groups), len(permutations), dtype=torch.float64)
    for row, group in enumerate(groups):
        features = torch.tensor([*group], device=inputs.device)
        for column, permutation in enumerate(permutations):
            permuted = inputs.clone()
            permuted[:, features] = inputs[permutation.to(inputs.device)][:, features]
            decreases[row, column] = reference - score(permuted)
    return decreases
