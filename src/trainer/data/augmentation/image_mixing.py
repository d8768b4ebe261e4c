"""Augmentation that combines the images of a batch, and their targets to probabilities of the classes."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.core.spec import Batch


def mix_up(inputs: Tensor, targets: Tensor, fraction: float) -> Batch:
    """Return weighted means of each example and the one before it in the batch.

    Args:
        inputs: Images (batch, channels, height, width).
        targets: Probabilities (batch, classes), or of the second of two classes (batch,).
        fraction: Weight of the example itself.

    Source:
        Zhang et al. 2018, mixup: Beyond empirical risk minimization.
    """
    return _average(inputs, fraction), _average(targets, fraction)


def cut_mix(inputs: Tensor, targets: Tensor, fraction: float, center: tuple[float, float]) -> Batch:
    """Replace the same rectangle in each image by that of the image before it in the batch.

    Args:
        inputs: Images (batch, channels, height, width).
        targets: Probabilities (batch, classes), or of the second of two classes (batch,); weighted by area.
        fraction: Area that is not replaced, except for a part of the rectangle outside the image.
        center: Row and column of the center of the rectangle, in [0, 1).

    Source:
        Yun et al. 2019, CutMix: Regularization strategy to train strong classifiers with localizable features.
    """
    sizes = inputs.shape[2:]
    ranges = []
    for size, position in zip(sizes, center, strict=True):
        middle = int(position * size)
        half = int(0.5 * (1 - fraction) ** 0.5 * size)
        ranges.append(slice(max(0, middle - half), min(size, middle + half)))
    rows, columns = ranges
    mixed = inputs.clone()
    mixed[:, :, rows, columns] = inputs.roll(1, 0)[:, :, rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed, _average(targets, 1 - area / (sizes[0] * sizes[1]))


def draw_fraction(random: np.random.Generator, alpha: float) -> float:
    """Return a random number in [0, 1] with the distribution Beta(alpha, alpha)."""
    return float(random.beta(alpha, alpha))


def to_probabilities(targets: Tensor, output_size: int) -> Tensor:
    """Return classes (batch,) as probabilities (batch, classes), or of the second class (batch,) for one output."""
    return (F.one_hot(targets, output_size) if output_size > 1 else targets).to(torch.get_default_dtype())


def _average(values: Tensor, fraction: float) -> Tensor:
    return fraction * values + (1 - fraction) * values.roll(1, 0)
