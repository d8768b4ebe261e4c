"""Metrics of classifiers that torchmetrics does not have, or computes differently."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.utilities import dim_zero_cat


class AUROC(Metric):
    """Area under the ROC curve: probability that a positive example scores above a negative one; ties count half.

    For several classes, the mean over one class against the rest; classes without positive or negative examples are
    ignored (torchmetrics counts them as 0), and the result is NaN if there are no others.

    Source:
        Hanley and McNeil 1982; Mann and Whitney 1947 for counting pairs.
    """

    higher_is_better = True
    scores: list[Tensor]
    target: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("target", [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, target: Tensor) -> None:
        """Add scores (batch,) of the second of two classes, or (batch, classes), and classes (batch,)."""
        self.scores.append(scores)
        self.target.append(target)

    def compute(self) -> Tensor:
        scores = dim_zero_cat(self.scores)
        target = dim_zero_cat(self.target)
        if scores.dim() == 1:
            return _compute_auc(scores, target == 1)
        return torch.stack([_compute_auc(column, target == index) for index, column in enumerate(scores.T)]).nanmean()


def _compute_auc(scores: Tensor, is_positive: Tensor) -> Tensor:
    """Return the fraction of pairs that are in order; NaN (0 / 0) if all examples are of one kind."""
    positive = scores[is_positive]
    negative = scores[~is_positive].sort().values
    doubled = torch.searchsorted(negative, positive) + torch.searchsorted(negative, positive, right=True)
    return doubled.sum().double() / 2 / (len(positive) * len(negative))


class BalancedAccuracy(MulticlassConfusionMatrix):
    """Mean recall of the classes that have examples.

    Source:
        Brodersen, Ong, Stephan, Buhmann 2010, The balanced accuracy and its posterior distribution.
    """

    higher_is_better = True

    def compute(self) -> Tensor:
        matrix = super().compute().double()
        return (matrix.diag() / matrix.sum(1)).nanmean()


class BrierScore(Metric):
    """Mean squared distance of probabilities and true classes: summed over the classes, of two that of the second.

    Source:
        Brier 1950, Verification of forecasts expressed in terms of probability.
    """

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, scores: Tensor, target: Tensor) -> None:
        """Add scores (batch,) of the second of two classes, or (batch, classes), and classes (batch,)."""
        self.total += compute_brier_scores(scores, target).sum()
        self.count += len(target)

    def compute(self) -> Tensor:
        return self.total / self.count


def compute_brier_scores(scores: Tensor, target: Tensor) -> Tensor:
    """Return the Brier score (batch,) of each example; see `BrierScore`."""
    if scores.dim() == 1 or scores.shape[1] == 2:
        return (scores.view(len(target), -1)[:, -1] - target).square()
    return (scores - F.one_hot(target, scores.shape[1])).square().sum(1)
