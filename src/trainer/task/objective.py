"""Objectives, which map outputs and targets to loss, predictions, scores and metrics."""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.core.target_scale import TargetScale
from trainer.task.class_weights import ClassWeighting, ClassWeights, balance, make_class_weighting
from trainer.task.losses import (
    LOSS_FUNCTIONS,
    NO_PENALTY,
    LossFunction,
    LossName,
    Penalty,
    focal_losses,
    require_cross_entropy,
    resolve_focal_gamma,
    resolve_loss,
    validate_loss_options,
)
from trainer.task.metrics import MetricSelection, make_metrics, select_metrics, validate_training_examples
from trainer.task.threshold import Threshold, ThresholdCriterion, make_threshold, select_second_class


class Objective(ABC):
    """Loss, predictions and metrics of a training."""

    spec: DataSpec
    metric_selection: MetricSelection = "auto"
    training_examples = 1000  # whose metrics are computed after each validation; 0: none
    penalty = NO_PENALTY  # on the weights; added to the training loss
    target_scale: TargetScale | None = None  # standardizes outputs and targets, for the loss only
    threshold = Threshold()  # for two classes
    requires_class_counts = False  # True before `balance_classes` if the loss depends on the frequencies of the classes

    def balance_classes(self, counts: Tensor | None) -> None:  # noqa: B027  most objectives do not need it
        """Set what depends on the number of training examples of each class (classes,), None if it is not known."""

    def state(self) -> dict[str, Any]:
        """Return what validation and training examples have determined, as plain values for checkpoints."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027  most objectives have no state
        """Set the values of a checkpoint; other ones stay as they are."""

    @property
    def loss_settings(self) -> tuple[Any, ...]:
        """Return the numbers that the loss depends on, except the target scale."""
        return ()

    @property
    def loss_tensors(self) -> list[Tensor]:
        """Return the tensors on the CPU that the loss reads besides outputs, targets and the target scale."""
        return []

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
        focal_gamma: Exponent of the focal loss. Defaults to none: cross-entropy.
        class_weights: Weights of the classes; losses are then weighted means. Defaults to equal weights.
        threshold: Threshold of the scores of the second of two classes, or the metric that validation maximizes.
    """

    def __init__(
        self,
        spec: DataSpec,
        label_smoothing: float = 0.0,
        distance: LossFunction | None = None,
        focal_gamma: float | None = None,
        class_weights: ClassWeights = None,
        threshold: float | ThresholdCriterion = 0.5,
    ) -> None:
        validate_loss_options(distance, label_smoothing=label_smoothing, class_weights=class_weights)
        self.spec = spec
        self.binary = spec.output_size == 1
        self.label_smoothing = label_smoothing
        self.distance = distance
        self.focal_gamma = focal_gamma
        self.class_weighting = make_class_weighting(spec, class_weights)
        self.threshold = make_threshold(spec, threshold)

    @property
    def requires_class_counts(self) -> bool:  # type: ignore[override]  # read-only
        return self.class_weighting.is_balanced and self.class_weighting.values is None

    def balance_classes(self, counts: Tensor | None) -> None:
        self.class_weighting = balance(self.spec, counts)

    def state(self) -> dict[str, Any]:
        weights = self.class_weighting.values if self.class_weighting.is_balanced else None
        return {"threshold": self.threshold.state(), "class_weights": weights and [*weights]}

    def restore(self, state: dict[str, Any]) -> None:
        self.threshold.restore(state.get("threshold"))
        if self.class_weighting.is_balanced and (weights := state.get("class_weights")):
            self.class_weighting = ClassWeighting(tuple(weights), is_balanced=True)

    @property
    def loss_settings(self) -> tuple[Any, ...]:
        return self.label_smoothing, self.focal_gamma, self.class_weighting.values

    @property
    def loss_tensors(self) -> list[Tensor]:
        return self.class_weighting.list_tensors()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.require_shape(outputs, len(targets))  # PyTorch accepts more outputs than classes
        if targets.is_floating_point():
            require_cross_entropy(self.distance, self.focal_gamma, is_weighted=self.class_weighting.is_set)
        if self.distance is not None:
            return self.distance(outputs, targets)
        if self.class_weighting.values or self.focal_gamma is not None:
            losses, weights = self.weighted_losses(outputs, targets)
            return losses.sum() / weights.sum()
        if self.binary:
            labels = targets.to(outputs.dtype)
            if self.label_smoothing:
                labels = labels * (1 - self.label_smoothing) + self.label_smoothing / 2
            return F.binary_cross_entropy_with_logits(outputs.squeeze(1), labels)
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def weighted_losses(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted loss and the weight of each example (batch,), whose sums have the mean as their ratio."""
        logits = torch.cat([torch.zeros_like(outputs), outputs], 1) if self.binary else outputs  # (batch, classes)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        weights = self.class_weighting.tensor_for(logits)
        example_weights = torch.ones_like(logits[:, 0]) if weights is None else weights[targets]
        if self.focal_gamma is not None:
            return focal_losses(logits, targets, self.focal_gamma) * example_weights, example_weights
        losses = F.cross_entropy(logits, targets, weights, reduction="none", label_smoothing=self.label_smoothing)
        return losses, example_weights

    def predictions(self, outputs: Tensor) -> Tensor:
        if not self.threshold.is_default:
            return (select_second_class(self.scores(outputs)) > self.threshold.value).long()
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


def make_objective(
    spec: DataSpec,
    *,
    loss: LossName = "auto",
    label_smoothing: float = 0,
    focal_gamma: float | None = None,
    class_weights: ClassWeights = None,
    threshold: float | ThresholdCriterion = 0.5,
    metrics: MetricSelection = "auto",
    training_examples: int = 1000,
    penalty: Penalty = NO_PENALTY,
) -> Objective:
    """Return an objective for the data: a classification or a regression.

    Args:
        spec: Specification of the data set.
        loss: Name of the loss. `"auto"` is bce for two classes, cross_entropy for more, mse for values.
        label_smoothing: See `ClassificationObjective`; not for focal, hinge and values.
        focal_gamma: Exponent of the focal loss. None: 2.
        class_weights: Weights of the classes: `"balanced"` (inverse frequencies in training), a list, or a mapping.
        threshold: Score above which the second of two classes is predicted, or the metric that validation maximizes.
        metrics: Names, metrics of torchmetrics, or `"auto"`: accuracy for classes; mae, rmse and r2 for values.
        training_examples: Training examples whose metrics are computed after each validation, at most; 0: none.
        penalty: Penalty on large weights.

    Raises:
        UserError: An argument does not fit the data.
    """
    distance = LOSS_FUNCTIONS.get(resolve_loss(spec, loss, label_smoothing))  # None for cross-entropies
    gamma = resolve_focal_gamma(loss, focal_gamma)
    objective: Objective
    if spec.target == "classification":
        objective = ClassificationObjective(spec, label_smoothing, distance, gamma, class_weights, threshold)
    else:
        make_class_weighting(spec, class_weights)  # rejects weights
        make_threshold(spec, threshold)
        objective = RegressionObjective(spec, distance)
    objective.metric_selection = select_metrics(spec, metrics, has_probabilities=loss != "hinge")
    objective.training_examples = validate_training_examples(training_examples)
    objective.penalty = penalty
    return objective
