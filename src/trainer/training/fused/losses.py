"""Losses of several runs, with the rounding of a run alone for the usual losses."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.func import vmap

from trainer.task.objective import ClassificationObjective, RegressionObjective


def compute_stacked_losses(objective: Any, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss of each run's batch, (runs,), as `objective.loss` returns it for one run.

    Args:
        objective: Objective that the runs share.
        outputs: (runs, batch, output_size).
        targets: (runs, batch) classes, or (runs, batch, output_size) values.
    """
    smoothing = getattr(objective, "label_smoothing", 0.0)
    if type(objective) is ClassificationObjective and objective.distance is None:
        if objective.class_weighting.values or objective.focal_gamma is not None:
            pairs = objective.weighted_losses(outputs.flatten(0, 1), targets.flatten())
            sums = [values.view(targets.shape).sum(1) for values in pairs]
            return sums[0] / sums[1]
        if objective.binary:
            labels = targets.to(outputs.dtype)
            labels = labels * (1 - smoothing) + smoothing / 2 if smoothing else labels
            losses = F.binary_cross_entropy_with_logits(outputs.squeeze(-1), labels, reduction="none")
        else:
            flat = (outputs.flatten(0, 1), targets.flatten())
            losses = F.cross_entropy(*flat, reduction="none", label_smoothing=smoothing).view(targets.shape)
        return losses.mean(1)
    if type(objective) is RegressionObjective and objective.distance is F.mse_loss:
        if objective.target_scale:
            outputs, targets = map(objective.target_scale.standardize, (outputs, targets))
        return F.mse_loss(outputs, targets, reduction="none").flatten(1).mean(1)
    return vmap(objective.loss)(outputs, targets)
