"""Number that is explained for each example: the predicted class's logit or probability, or the first value."""

import torch
from torch import Tensor

from trainer.task.objective import Objective


def select_logits(outputs: Tensor, predictions: Tensor, objective: Objective) -> Tensor:
    """Return the logit of each predicted class, or the first value of a regression (batch,).

    With one logit for two classes, that of the first class is its negative.

    Shapes:
        outputs: (batch, output_size)
        predictions: (batch,) classes, or (batch, output_size) values
    """
    if objective.spec.target == "regression":
        return outputs[:, 0]
    if outputs.shape[1] == 1:
        return torch.where(predictions == 1, outputs[:, 0], -outputs[:, 0])
    return outputs.gather(1, predictions[:, None])[:, 0]


def select_scores(outputs: Tensor, predictions: Tensor, objective: Objective) -> Tensor:
    """Return the score of each predicted class, usually its probability, or the first value of a regression (batch,).

    Shapes:
        outputs: (batch, output_size)
        predictions: (batch,) classes, or (batch, output_size) values
    """
    if objective.spec.target == "regression":
        return outputs[:, 0]
    scores = objective.scores(outputs)
    if scores.dim() == 1:
        return torch.where(predictions == 1, scores, 1 - scores)
    return scores.gather(1, predictions[:, None])[:, 0]
