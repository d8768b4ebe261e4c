"""Objectives: from a network's outputs and the targets to a loss, to predictions and to metrics."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score
from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

from trainer.errors import UserError
from trainer.spec import DataSpec

Distance = Callable[[Tensor, Tensor], Tensor]
Loss = Literal["auto", "bce", "cross_entropy", "mse", "l1", "huber"]


class Objective(ABC):
    """What a network is trained to do, and by which numbers it is judged."""

    spec: DataSpec

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a batch, to be made small.

        Shapes:
            outputs: (batch, output_size)
            targets: (batch,) classes, or (batch, output_size) values
            returns: ()
        """

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """What the network says: the class (batch,), or the values (batch, output_size)."""

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """New metrics, to be updated with (predictions, targets)."""


class ClassObjective(Objective):
    """Cross-entropy over the classes, or binary cross-entropy on one logit for two classes; `accuracy`.

    Args:
        spec: The data set's promise.
        label_smoothing: Share of each target, in [0, 1), that is spread evenly over all classes.
    """

    def __init__(self, spec: DataSpec, label_smoothing: float = 0.0) -> None:
        self.spec, self.label_smoothing, self.binary = spec, label_smoothing, spec.output_size == 1

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.binary:
            smooth = targets.to(outputs.dtype) * (1 - self.label_smoothing) + self.label_smoothing / 2
            return F.binary_cross_entropy_with_logits(outputs.squeeze(1), smooth)
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def predictions(self, outputs: Tensor) -> Tensor:
        return (outputs.squeeze(1) > 0).long() if self.binary else outputs.argmax(1)

    def metrics(self) -> MetricCollection:
        right = BinaryAccuracy() if self.binary else MulticlassAccuracy(self.spec.output_size, average="micro")
        return MetricCollection({"accuracy": right})


class ValueObjective(Objective):
    """Distance to the true values; `mae` and `rmse` in the target's units, and `r2`, 1 at best.

    Args:
        spec: The data set's promise.
        distance: Mean over (outputs, targets), e.g. the mean squared error.
    """

    def __init__(self, spec: DataSpec, distance: Distance = F.mse_loss) -> None:
        self.spec, self.distance = spec, distance

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.distance(outputs, targets)

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs

    def metrics(self) -> MetricCollection:
        return MetricCollection({"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2Score()})


def objective_for(spec: DataSpec, *, loss: Loss = "auto", label_smoothing: float = 0.0) -> Objective:
    """The objective that fits the data: classes or values is the data's to say, so nobody types it.

    Args:
        spec: The data set's promise.
        loss: `"auto"` takes bce for two classes, cross_entropy for more, mse for values.
        label_smoothing: See `ClassObjective`; values have none.

    Raises:
        UserError: The loss does not fit the target; says which do.
    """
    distances: dict[Loss, Distance] = {"mse": F.mse_loss, "l1": F.l1_loss, "huber": F.huber_loss}
    is_class = spec.target == "classes"
    fitting: list[Loss] = ["bce" if spec.output_size == 1 else "cross_entropy"] if is_class else list(distances)
    if loss not in ("auto", *fitting):
        raise UserError(f"objective.loss: '{loss}' does not fit data '{spec.name}'; use auto, {', '.join(fitting)}")
    if is_class:
        return ClassObjective(spec, label_smoothing)
    if label_smoothing:
        raise UserError(f"objective.label_smoothing: data '{spec.name}' has values, not classes; set it to 0")
    return ValueObjective(spec, distances[fitting[0] if loss == "auto" else loss])
