"""Objectives, which map outputs and targets to loss, predictions, scores and metrics."""

from abc import ABC, abstractmethod
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, is_pair
from trainer.core.target_scale import TargetScale
from trainer.task.losses import (
    LOSS_FUNCTIONS,
    NO_PENALTY,
    LossFunction,
    LossName,
    Penalty,
    resolve_loss,
    validate_label_smoothing,
)
from trainer.task.metrics import MetricSelection, make_metrics, select_metrics


class Objective(ABC):
    """Loss, predictions and metrics of a training."""

    spec: DataSpec
    metric_selection: MetricSelection = "auto"
    penalty = NO_PENALTY  # on the weights; added to the training loss
    target_scale: TargetScale | None = None  # standardizes outputs and targets, for the loss only

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Shapes:
            outputs: (batch, output_size)
            targets: (batch,) classes, or (batch, output_size) values; of mixed examples probabilities, (batch,) of the
                second of two classes or (batch, classes)
            returns: ()
        """

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predicted classes (batch,) or values (batch, output_size)."""

    def scores(self, outputs: Tensor) -> Tensor:
        """Return scores in [0, 1] of the second class (batch,) or of each class (batch, classes); or the values."""
        return self.predictions(outputs)

    def require_shape(self, outputs: Tensor, examples: int) -> None:
        """Raise a `UserError` if the outputs of a network are not (examples, spec.output_size)."""
        expected = (examples, self.spec.output_size)
        is_tensor = isinstance(outputs, Tensor)
        if not is_tensor or outputs.shape != expected:
            actual = f"outputs of shape {(*outputs.shape,)}" if is_tensor else f"outputs are a {type(outputs).__name__}"
            meaning = "a value" if self.spec.target == "regression" else "a logit for each class"
            if self.spec.target == "classification" and self.spec.output_size == 1:
                meaning = "one logit for two classes"
            raise UserError(f"model.net: {actual}; data '{self.spec.name}' expects {expected}: examples, {meaning}")

    def metrics(self) -> MetricCollection:
        """Return new metrics, which are updated with preds, scores and target."""
        return make_metrics(self.spec, self.metric_selection)


class ClassificationObjective(Objective):
    """Cross-entropy over the classes, or binary cross-entropy on one logit for two classes.

    Args:
        spec: Specification of the data set.
        label_smoothing: Fraction of each target, in [0, 1), that is spread evenly over all classes. Defaults to 0.
        distance: Loss to use instead, e.g. hinge; then scores are not probabilities. Defaults to cross-entropy.
    """

    def __init__(self, spec: DataSpec, label_smoothing: float = 0.0, distance: LossFunction | None = None) -> None:
        validate_label_smoothing(label_smoothing, distance)
        self.spec = spec
        self.binary = spec.output_size == 1
        self.label_smoothing = label_smoothing
        self.distance = distance

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.require_shape(outputs, len(targets))  # PyTorch accepts more outputs than classes
        if self.distance is not None:
            if targets.is_floating_point():
                problem = "needs classes, but mixup and cutmix make probabilities of them; expected auto"
                raise UserError(f"objective.loss: hinge {problem}")
            return self.distance(outputs, targets)
        if self.binary:
            labels = targets.to(outputs.dtype)
            if self.label_smoothing:
                labels = labels * (1 - self.label_smoothing) + self.label_smoothing / 2
            return F.binary_cross_entropy_with_logits(outputs.squeeze(1), labels)
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def predictions(self, outputs: Tensor) -> Tensor:
        return (outputs.squeeze(1) > 0).long() if self.binary else outputs.argmax(1)

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs.float().squeeze(1).sigmoid() if self.binary else outputs.float().softmax(1)


class RegressionObjective(Objective):
    """Distance to the true values, in units of their standard deviation if the data set standardizes its targets.

    Args:
        spec: Specification of the data set.
        distance: Mean loss of outputs and targets. Defaults to the mean squared error.
    """

    def __init__(self, spec: DataSpec, distance: LossFunction | None = None) -> None:
        self.spec = spec
        self.distance = F.mse_loss if distance is None else distance

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.require_shape(outputs, len(targets))  # PyTorch would broadcast outputs (batch,)
        if self.target_scale:
            outputs = self.target_scale.standardize(outputs)
            targets = self.target_scale.standardize(targets)
        return self.distance(outputs, targets)

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs


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


def make_objective(
    spec: DataSpec,
    *,
    loss: LossName = "auto",
    label_smoothing: float = 0,
    metrics: MetricSelection = "auto",
    penalty: Penalty = NO_PENALTY,
) -> Objective:
    """Return an objective for the data: a classification or a regression.

    Args:
        spec: Specification of the data set.
        loss: Name of the loss. `"auto"` is bce for two classes, cross_entropy for more, mse for values.
        label_smoothing: See `ClassificationObjective`; not for hinge and values.
        metrics: Names, metrics of torchmetrics, or `"auto"`: accuracy for classes; mae, rmse and r2 for values.
        penalty: Penalty on large weights. Defaults to none.

    Raises:
        UserError: Loss, smoothing or a metric does not fit the data.
    """
    distance = LOSS_FUNCTIONS.get(resolve_loss(spec, loss, label_smoothing))  # None for both cross-entropies
    is_class = spec.target == "classification"
    objective = (
        ClassificationObjective(spec, label_smoothing, distance) if is_class else RegressionObjective(spec, distance)
    )
    objective.metric_selection = select_metrics(spec, metrics)
    objective.penalty = penalty
    return objective
