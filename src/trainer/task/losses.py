"""Which loss fits the data, by name; the losses that PyTorch lacks; penalties on the weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec

Distance = Callable[[Tensor, Tensor], Tensor]
Loss = Literal["auto", "bce", "cross_entropy", "hinge", "mse", "l1", "huber"]


def meant(spec: DataSpec, loss: Loss, label_smoothing: float = 0.0) -> Loss:
    """The loss that is meant: the one named, or the usual one for `"auto"`.

    Raises:
        UserError: The loss does not fit the target, or the smoothing does not fit the loss; says what does.
    """
    is_class = spec.target == "classes"
    usual: Loss = ("bce" if spec.output_size == 1 else "cross_entropy") if is_class else "mse"
    fitting: list[Loss] = [usual, "hinge"] if is_class else ["mse", "l1", "huber"]
    if loss not in ("auto", *fitting):
        raise UserError(f"objective.loss: '{loss}' does not fit data '{spec.name}'; use auto, {', '.join(fitting)}")
    if not 0 <= label_smoothing < 1:
        raise UserError(f"objective.label_smoothing: {label_smoothing} is not in [0, 1)")
    if label_smoothing and (loss == "hinge" or not is_class):
        why = "the hinge loss has none" if is_class else f"data '{spec.name}' has values, not classes"
        raise UserError(f"objective.label_smoothing: {why}; set it to 0")
    return usual if loss == "auto" else loss


def refuse_smoothing(label_smoothing: float, distance: Distance | None) -> None:
    """Raise a `UserError` if labels are to be smoothed and the loss is one that does not do it."""
    if label_smoothing and distance is not None:
        raise UserError("objective.label_smoothing: no effect on a distance; set it to 0")


def hinge(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean hinge loss: 0 for an example that is right by a margin of at least 1.

    Two classes by one output f, with y = -1 or 1: max(0, 1 - y f). Several, with true class y:
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


DISTANCES: dict[Loss, Distance] = {"hinge": hinge, "mse": F.mse_loss, "l1": F.l1_loss, "huber": F.huber_loss}


@dataclass(frozen=True)
class Penalty:
    """What training adds to the loss for large weights: l1 * sum of |w| + l2 * sum of w^2.

    Weights are the parameters with at least two axes; biases and the scales of batch norm are left alone.

    Args:
        l1: Factor of the absolute values, which draws weights to 0 itself.
        l2: Factor of the squares.

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


NONE = Penalty()
