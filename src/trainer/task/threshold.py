"""Decision threshold of two classes, fixed or chosen on the validation examples."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec

ThresholdCriterion = Literal["accuracy", "balanced_accuracy", "f1", "mcc"]
CRITERIA = get_args(ThresholdCriterion)
DEFAULT_THRESHOLD = 0.5
ROUNDING = 1e-12  # of a criterion
KEY = "objective.threshold"


@dataclass
class Threshold:
    """The second of two classes is predicted for scores above a threshold.

    Args:
        value: The threshold; that of the last validation if it has a criterion.
        criterion: Metric of the validation examples that the threshold maximizes; None if it is fixed.
        is_chosen: Whether a validation or a checkpoint has set the value.
    """

    value: float = DEFAULT_THRESHOLD
    criterion: ThresholdCriterion | None = None
    is_chosen: bool = False

    @property
    def is_default(self) -> bool:
        """Return whether the class with the higher score is predicted."""
        return self.value == DEFAULT_THRESHOLD

    def choose(self, value: float) -> None:
        """Set the value that a validation has found."""
        self.value = value
        self.is_chosen = True

    def state(self) -> float | None:
        """Return the chosen value for a checkpoint; None if the config contains it, or before the first validation."""
        return self.value if self.is_chosen else None

    def restore(self, state: float | None) -> None:
        """Set the value of a checkpoint, unless the config contains one."""
        if self.criterion and state is not None:
            self.choose(state)


def make_threshold(spec: DataSpec, threshold: float | ThresholdCriterion) -> Threshold:
    """Return the threshold that a config describes.

    Raises:
        UserError: The value is invalid, or the data do not have two classes.
    """
    if threshold != DEFAULT_THRESHOLD and (spec.target == "regression" or len(spec.class_names) != 2):
        target = "values" if spec.target == "regression" else f"{len(spec.class_names)} classes"
        raise UserError(f"{KEY}: only for two classes, but data '{spec.name}' has {target}; expected 0.5")
    if isinstance(threshold, str):
        if threshold not in CRITERIA:
            expected = f"expected a number between 0 and 1, or one of {', '.join(CRITERIA)}"
            raise UserError(f"{KEY}: '{threshold}' is invalid; {expected}")
        return Threshold(criterion=threshold)
    if not 0 < threshold < 1:
        raise UserError(f"{KEY}: {threshold} is invalid; expected a number between 0 and 1")
    return Threshold(threshold)


class BestThreshold(Metric):
    """Threshold that maximizes a criterion on all examples; of several equal ones, the one closest to 0.5.

    Candidates are the means of neighboring scores, and two that assign all examples to one class.

    Args:
        criterion: Metric of the predictions; f1 is that of the second class.
    """

    scores: list[Tensor]
    target: list[Tensor]

    def __init__(self, criterion: ThresholdCriterion) -> None:
        super().__init__()
        self.criterion = criterion
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("target", [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, target: Tensor) -> None:
        """Add scores (batch,) of the second class, or (batch, 2), and classes (batch,)."""
        self.scores.append(select_second_class(scores))
        self.target.append(target)

    def compute(self) -> Tensor:
        """Return the threshold, as a number of float32."""
        scores, order = dim_zero_cat(self.scores).cpu().sort(descending=True)
        is_positive = (dim_zero_cat(self.target).cpu()[order] == 1).double()
        edges = torch.cat([torch.ones(1), scores, torch.zeros(1)])
        middles = (edges[:-1] + edges[1:]) / 2
        # a middle that is rounded up to the upper score would assign it to the other class
        thresholds = torch.where(middles < edges[:-1], middles, edges[1:])
        is_candidate = edges[:-1] > edges[1:]  # equal scores cannot be separated
        is_candidate[0] = True
        true_positives = torch.cat([torch.zeros(1), is_positive.cumsum(0)])
        false_positives = torch.arange(len(thresholds)) - true_positives
        quality = _compute_quality(self.criterion, true_positives, false_positives)
        is_best = is_candidate & (quality >= quality[is_candidate].max() - ROUNDING)
        distances = torch.where(is_best, (thresholds - DEFAULT_THRESHOLD).abs(), torch.inf)
        return thresholds[distances.argmin()]


def select_second_class(scores: Tensor) -> Tensor:
    """Return the scores (batch,) of the second class from these, or from those of both classes (batch, 2)."""
    return scores if scores.dim() == 1 else scores[:, 1]


def _compute_quality(criterion: str, true_positives: Tensor, false_positives: Tensor) -> Tensor:
    """Return a metric for each number of positive predictions from 0 to all examples; 0 if it is not defined."""
    positives = true_positives[-1]
    negatives = false_positives[-1]
    true_negatives = negatives - false_positives
    predicted = true_positives + false_positives
    if criterion == "accuracy":
        return (true_positives + true_negatives) / (positives + negatives)
    if criterion == "balanced_accuracy":
        return (true_positives / positives.clamp(min=1) + true_negatives / negatives.clamp(min=1)) / 2
    if criterion == "f1":
        return 2 * true_positives / (positives + predicted).clamp(min=1)
    product = predicted * positives * negatives * (positives + negatives - predicted)
    covariance = true_positives * (positives + negatives) - predicted * positives
    return covariance / product.sqrt().clamp(min=1)
