"""Temperature that calibrates the probabilities of classes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.core.errors import UserError

MAX_LOG_TEMPERATURE = 3.0  # temperatures from 0.05 to 20


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """Return the number that minimizes the cross-entropy of logits divided by it, between 0.05 and 20.

    Args:
        logits: (examples, classes), or (examples, 1) for the second of two classes.
        targets: Classes (examples,).

    Raises:
        UserError: All predictions are right, so that smaller temperatures are always better.

    Source:
        Guo et al. 2017, On calibration of modern neural networks, section 4.2.
    """
    from scipy.optimize import minimize_scalar  # takes half a second to import

    predictions = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    if torch.equal(predictions, targets):
        raise UserError("calibration: all validation examples are predicted correctly, so no temperature is the best")
    result = minimize_scalar(
        lambda value: compute_cross_entropy(logits, targets, math.exp(value)),
        bounds=(-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(result.x)


def compute_cross_entropy(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> float:
    """Return the mean cross-entropy of logits divided by a temperature; see `fit_temperature`."""
    scaled = logits.double() / temperature
    scaled = torch.cat([torch.zeros_like(scaled), scaled], 1) if scaled.shape[1] == 1 else scaled
    return F.cross_entropy(scaled, targets).item()
