"""Objectives: from a network's outputs and the targets to a loss, to predictions and to metrics."""

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.core.target_scale import TargetScale
from trainer.task.losses import DISTANCES, NONE, Distance, Loss, Penalty, meant, refuse_smoothing
from trainer.task.metrics import Names, metrics_for, selected


class Objective(ABC):
    """What a network is trained to do, and by which numbers it is judged."""

    spec: DataSpec
    asked: Names = "auto"  # metrics: names, or objects
    penalty = NONE  # of the network's weights; training adds it to the loss
    target_scale: TargetScale | None = None  # standardizes outputs and targets of values for the loss alone

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

    def scores(self, outputs: Tensor) -> Tensor:
        """How sure it is: of the second class (batch,), or of each class (batch, classes), in [0, 1]; or the values."""
        return self.predictions(outputs)

    def require_shape(self, outputs: Tensor, examples: int) -> None:
        """Refuse outputs of a network that are not (examples, spec.output_size).

        Raises:
            UserError: Names the actual and the expected shape.
        """
        expected = (examples, self.spec.output_size)
        is_tensor = isinstance(outputs, Tensor)
        if not is_tensor or outputs.shape != expected:
            found = f"outputs of shape {(*outputs.shape,)}" if is_tensor else f"outputs are a {type(outputs).__name__}"
            meaning = "a value" if self.spec.target == "values" else "a logit for each class"
            if self.spec.class_names and self.spec.output_size == 1:
                meaning = "one logit for two classes"
            raise UserError(f"model.net: {found}; data '{self.spec.name}' expects {expected}: examples, {meaning}")

    def metrics(self) -> MetricCollection:
        """New metrics, to be updated with preds=predictions, scores=scores, target=targets."""
        return metrics_for(self.spec, self.asked)


class ClassObjective(Objective):
    """Cross-entropy over the classes, or binary cross-entropy on one logit for two classes.

    Args:
        spec: The data set's promise.
        label_smoothing: Share of each target, in [0, 1), that is spread evenly over all classes.
        distance: A loss to be taken instead, e.g. `hinge`; the scores then rank, but are no probabilities.
    """

    def __init__(self, spec: DataSpec, label_smoothing: float = 0.0, distance: Distance | None = None) -> None:
        self.spec, self.binary = spec, spec.output_size == 1
        self.label_smoothing, self.distance = label_smoothing, distance
        refuse_smoothing(label_smoothing, distance)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.require_shape(outputs, len(targets))  # PyTorch would take more outputs than there are classes
        if self.distance is not None:
            return self.distance(outputs, targets)
        if self.binary:
            wanted, spread = targets.to(outputs.dtype), self.label_smoothing
            smooth = wanted * (1 - spread) + spread / 2 if spread else wanted
            return F.binary_cross_entropy_with_logits(outputs.squeeze(1), smooth)
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def predictions(self, outputs: Tensor) -> Tensor:
        return (outputs.squeeze(1) > 0).long() if self.binary else outputs.argmax(1)

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs.float().squeeze(1).sigmoid() if self.binary else outputs.float().softmax(1)


class ValueObjective(Objective):
    """Distance to the true values, in units of their standard deviation if the data set standardizes its targets.

    Args:
        spec: The data set's promise.
        distance: Mean over (outputs, targets), both standardized; the mean squared error where none is given.
    """

    def __init__(self, spec: DataSpec, distance: Distance | None = None) -> None:
        self.spec, self.distance = spec, F.mse_loss if distance is None else distance

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.require_shape(outputs, len(targets))  # PyTorch would broadcast outputs (batch,)
        if self.target_scale:
            outputs = self.target_scale.standardize(outputs)
            targets = self.target_scale.standardize(targets)
        return self.distance(outputs, targets)

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs


def objective_for(
    spec: DataSpec, *, loss: Loss = "auto", label_smoothing: float = 0, metrics: Names = "auto", penalty: Penalty = NONE
) -> Objective:
    """The objective that fits the data: classes or values is the data's to say, so nobody types it.

    Args:
        spec: The data set's promise.
        loss: `"auto"` takes bce for two classes, cross_entropy for more, mse for values.
        label_smoothing: See `ClassObjective`; hinge and values have none.
        metrics: Names, metrics of torchmetrics, or `"auto"`: accuracy for classes; mae, rmse and r2 for values.
        penalty: On large weights.

    Raises:
        UserError: Loss, smoothing or a metric does not fit the target; says which do.
    """
    given = DISTANCES.get(meant(spec, loss, label_smoothing))  # none for the cross-entropies: ClassObjective's own
    made = ClassObjective(spec, label_smoothing, given) if spec.target == "classes" else ValueObjective(spec, given)
    made.asked, made.penalty = selected(spec, metrics), penalty
    return made
