"""Losses by name, losses that PyTorch does not have, and penalties on the weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec

LossFunction = Callable[[Tensor, Tensor], Tensor]
LossName = Literal["auto", "bce", "cross_entropy", "focal", "hinge", "mse", "l1", "huber"]
DEFAULT_FOCAL_GAMMA = 2.0


def resolve_loss(spec: DataSpec, loss: LossName, label_smoothing: float = 0.0) -> LossName:
    """Return the name of a loss, with `"auto"` replaced by the default loss for the data.

    Raises:
        UserError: The loss does not fit the data, or the smoothing does not fit the loss.
    """
    is_class = spec.target == "classification"
    default: LossName = ("bce" if spec.output_size == 1 else "cross_entropy") if is_class else "mse"
    choices: list[LossName] = [default, "focal", "hinge"] if is_class else ["mse", "l1", "huber"]
    if loss not in ("auto", *choices):
        raise UserError(f"objective.loss: '{loss}' does not fit data '{spec.name}'; use auto, {', '.join(choices)}")
    if not 0 <= label_smoothing < 1:
        raise UserError(f"objective.label_smoothing: {label_smoothing} is not in [0, 1)")
    if label_smoothing and (loss in ("focal", "hinge") or not is_class):
        reason = f"the {loss} loss does not support it" if is_class else f"data '{spec.name}' has values, not classes"
        raise UserError(f"objective.label_smoothing: {reason}; set it to 0")
    return default if loss == "auto" else loss


def resolve_focal_gamma(loss: LossName, gamma: float | None) -> float | None:
    """Return the exponent of the focal loss, or None for another loss.

    Raises:
        UserError: The exponent is negative, or the loss has none.
    """
    if loss != "focal":
        if gamma is not None:
            raise UserError("objective.focal_gamma: no effect without objective.loss=focal; set it to null")
        return None
    if gamma is not None and gamma < 0:
        raise UserError(f"objective.focal_gamma: {gamma} is invalid; expected at least 0")
    return DEFAULT_FOCAL_GAMMA if gamma is None else gamma


def validate_loss_options(distance: LossFunction | None, **options: Any) -> None:
    """Raise a `UserError` for each option of cross-entropy that is set although another loss replaces it."""
    for name, value in options.items():
        if value and distance is not None:
            unset = "0" if isinstance(value, float) else "null"
            raise UserError(f"objective.{name}: no effect on a distance; set it to {unset}")


def require_cross_entropy(distance: LossFunction | None, focal_gamma: float | None, *, is_weighted: bool) -> None:
    """Raise a `UserError` if a loss does not support targets that are probabilities, or if its classes have weights."""
    problem = "needs classes, but mixup and cutmix make probabilities of them"
    if distance is not None or focal_gamma is not None:
        raise UserError(f"objective.loss: {'hinge' if focal_gamma is None else 'focal'} {problem}; expected auto")
    if is_weighted:
        raise UserError(f"objective.class_weights: {problem}; expected null")


def hinge_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean hinge loss: 0 for an example that is correct by a margin of at least 1.

    One output f for two classes, y = -1 or 1: max(0, 1 - y f). Several outputs, true class y:
    max over j of (f_j + [j is not y]) - f_y.

    Shapes:
        outputs: (batch, 1) or (batch, classes)
        targets: (batch,) classes
        returns: ()

    Source:
        Cortes and Vapnik 1995 for two classes; Crammer and Singer 2001 for several.
    """
    if outputs.shape[1] == 1:
        return (1 - (2 * targets - 1) * outputs.squeeze(1)).clamp(min=0).mean()
    wrong = 1 - F.one_hot(targets, outputs.shape[1])  # (batch, classes)
    return ((outputs + wrong).amax(1) - outputs.gather(1, targets[:, None]).squeeze(1)).mean()


def focal_losses(outputs: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma log p for each example, where p is the probability of its class.

    Easy examples, with p close to 1, then have a small weight in the mean.

    Shapes:
        outputs: (batch, classes) logits
        targets: (batch,) classes
        returns: (batch,)

    Source:
        Lin, Goyal, Girshick, He, Dollar 2017, Focal loss for dense object detection.
    """
    log_p = F.log_softmax(outputs, 1).gather(1, targets[:, None]).squeeze(1)
    difficulty = (1 - log_p.exp()).clamp(min=1e-12)  # at 0, gradients are not finite for gamma < 1
    return -(difficulty**gamma) * log_p


LOSS_FUNCTIONS: dict[LossName, LossFunction] = {
    "hinge": hinge_loss,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
}


@dataclass(frozen=True)
class Penalty:
    """Penalty l1 * sum of |w| + l2 * sum of w^2 that is added to the training loss.

    Weights w are parameters with at least two axes; biases and the scales of batch norm are excluded.

    Args:
        l1: Factor of the absolute values; makes weights exactly 0. Defaults to 0.
        l2: Factor of the squares. Defaults to 0.

    Raises:
        UserError: A factor is negative.

    Source:
        Tibshirani 1996 (l1); Hoerl and Kennard 1970 (l2).
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        if self.l1 < 0 or self.l2 < 0:
            raise UserError("objective.penalty: l1 and l2 must be at least 0")

    def __call__(self, net: nn.Module) -> Tensor | float:
        if not (self.l1 or self.l2):
            return 0.0
        weights = [parameter for parameter in net.parameters() if parameter.dim() > 1]
        return torch.stack([self.l1 * w.abs().sum() + self.l2 * w.square().sum() for w in weights]).sum()


NO_PENALTY = Penalty()
