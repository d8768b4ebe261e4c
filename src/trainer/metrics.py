"""Metrics by name. A metric says by the parameters of its `update` what it looks at: `preds`, `scores`, `target`."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score
from torchmetrics.utilities import dim_zero_cat

from trainer.errors import UserError, did_you_mean
from trainer.spec import DataSpec

Names = str | Sequence[str]
Make = Callable[[], Metric]

OF_CLASSES = ("accuracy", "precision", "recall", "f1", "auroc")
OF_VALUES = ("mae", "rmse", "r2")


class AUROC(Metric):
    """Area under the ROC curve: how often an example of a class scores above one of another; ties count half.

    For several classes the mean over each class against the rest, of those that the examples tell apart; NaN where
    there are none (torchmetrics' own takes such a class for 0).

    Source:
        Hanley and McNeil 1982; Mann and Whitney 1947 for the pairs by which it is counted.
    """

    higher_is_better = True
    scores: list[Tensor]
    target: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("target", [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, target: Tensor) -> None:
        """Note scores (batch,) of the second of two classes, or (batch, classes), and classes (batch,)."""
        self.scores.append(scores)
        self.target.append(target)

    def compute(self) -> Tensor:
        scores, target = dim_zero_cat(self.scores), dim_zero_cat(self.target)
        if scores.dim() == 1:
            return _area(scores, target == 1)
        return torch.stack([_area(column, target == place) for place, column in enumerate(scores.T)]).nanmean()


def _area(scores: Tensor, positive: Tensor) -> Tensor:
    """How many pairs the positive examples win; NaN, as 0 / 0, where only one kind is there."""
    above, below = scores[positive], scores[~positive].sort().values
    won = torch.searchsorted(below, above) + torch.searchsorted(below, above, right=True)  # twice: ties count half
    return won.sum().double() / 2 / (len(above) * len(below))


def asked_for(spec: DataSpec, names: Names) -> list[str]:
    """The metrics that are meant: a name, several, or `"auto"`, which is accuracy, or mae, rmse and r2.

    Raises:
        UserError: There is no metric of that name, or it does not fit the data; says which do.
    """
    fitting, usual = (OF_VALUES, OF_VALUES) if spec.target == "values" else (OF_CLASSES, ("accuracy",))
    asked: dict[str, None] = {}  # in order, each once
    for name in [names] if isinstance(names, str) else names:
        if name in (*OF_CLASSES, *OF_VALUES) and name not in fitting:
            raise UserError(
                f"objective.metrics: '{name}' does not fit data '{spec.name}'; use auto, {', '.join(fitting)}"
            )
        if name not in ("auto", *fitting):
            raise UserError(f"objective.metrics: no metric '{name}'{did_you_mean(name, ['auto', *fitting])}")
        asked |= dict.fromkeys(usual if name == "auto" else (name,))
    return list(asked)


def metrics_for(spec: DataSpec, names: Names) -> MetricCollection:
    """New metrics; `update` takes preds, scores and target by keyword, and each metric gets what it takes.

    On two classes told by one logit, precision, recall and f1 are those of the second; otherwise the mean over
    the classes (macro), in which each class counts alike.

    Raises:
        UserError: See `asked_for`.
    """
    count = spec.output_size  # nothing is validated: the loss has looked at all targets already
    of_several: dict[str, Make] = {
        "accuracy": lambda: MulticlassAccuracy(count, average="micro", validate_args=False),
        "precision": lambda: MulticlassPrecision(count, average="macro", validate_args=False),
        "recall": lambda: MulticlassRecall(count, average="macro", validate_args=False),
        "f1": lambda: MulticlassF1Score(count, average="macro", validate_args=False),
    }
    of_two: dict[str, Make] = {
        "accuracy": lambda: BinaryAccuracy(validate_args=False),
        "precision": lambda: BinaryPrecision(validate_args=False),
        "recall": lambda: BinaryRecall(validate_args=False),
        "f1": lambda: BinaryF1Score(validate_args=False),
    }
    make: dict[str, Make] = {
        "mae": MeanAbsoluteError,
        "rmse": lambda: MeanSquaredError(squared=False),
        "r2": R2Score,
        "auroc": AUROC,
        **(of_two if count == 1 else of_several),
    }
    return MetricCollection({name: make[name]() for name in asked_for(spec, names)})
