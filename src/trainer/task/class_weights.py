"""Weights of classes in a loss, against imbalance."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.core.spec import DataSpec

ClassWeights = Literal["balanced"] | Sequence[float] | Mapping[str | int, float] | None
BALANCED = "balanced"
KEY = "objective.class_weights"


class ClassWeighting:
    """Weights of the classes in a loss.

    Args:
        values: Weight of each class; None if all are equal, or if they are balanced and the frequencies not known yet.
        is_balanced: Whether the weights are inversely proportional to the frequencies in the training examples.
    """

    def __init__(self, values: tuple[float, ...] | None = None, *, is_balanced: bool = False) -> None:
        self.values = values
        self.is_balanced = is_balanced
        self._copies: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    @property
    def is_set(self) -> bool:
        """True if the classes have different weights, which may not be known yet."""
        return self.is_balanced or self.values is not None

    def list_tensors(self) -> list[Tensor]:
        """Return the weights on the CPU in a list, which is empty if all are equal."""
        weights = self.tensor_for(torch.zeros(0))
        return [] if weights is None else [weights]

    def tensor_for(self, logits: Tensor) -> Tensor | None:
        """Return the weights (classes,) with device and type of logits, the same tensor in each call; None if equal."""
        if self.values is None:
            return None
        key = (logits.device, logits.dtype)
        if key not in self._copies:
            self._copies[key] = torch.tensor(self.values, device=logits.device, dtype=logits.dtype)
        return self._copies[key]


def make_class_weighting(spec: DataSpec, weights: ClassWeights) -> ClassWeighting:
    """Return the class weights that a config describes.

    Args:
        spec: Specification of the data set.
        weights: Weights in the order of the classes, or by class name (1 for classes without one), or `"balanced"`.

    Raises:
        UserError: The data have no classes, or the weights do not fit them.
    """
    if weights is None:
        return ClassWeighting()
    if spec.target != "classification":
        raise UserError(f"{KEY}: data '{spec.name}' has values, not classes; expected null")
    if isinstance(weights, str):
        if weights != BALANCED:
            raise UserError(f"{KEY}: '{weights}' is invalid; expected balanced, a list, or weights by class name")
        return ClassWeighting(is_balanced=True)
    values = _list_weights(weights, spec)
    for value in values:
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{KEY}: {value} is invalid; expected numbers greater than 0")
    return ClassWeighting(tuple(map(float, values)))


def _list_weights(weights: Mapping[str | int, float] | Sequence[float], spec: DataSpec) -> list[float]:
    """Return weights in the order of the classes."""
    names = spec.class_names
    if not isinstance(weights, Mapping):
        values = [*weights]
        if len(values) != len(names):
            expected = f"expected one for each of the {len(names)} classes of data '{spec.name}'"
            raise UserError(f"{KEY}: found {len(values)} weights; {expected}")
        return values
    by_name = {str(name): weight for name, weight in weights.items()}
    for name in by_name:
        if name not in names:
            raise UserError(f"{KEY}: no class '{name}'{did_you_mean(name, names)}")
    return [by_name.get(name, 1.0) for name in names]


def balance(spec: DataSpec, counts: Tensor | None) -> ClassWeighting:
    """Return weights that are inversely proportional to the frequencies: examples / (classes * examples of the class).

    Args:
        spec: Specification of the data set.
        counts: Training examples of each class (classes,); None if they are not known.

    Raises:
        UserError: A class has no training example, or the numbers are not known.

    Source:
        King and Zeng 2001, Logistic regression in rare events data; `class_weight="balanced"` of scikit-learn.
    """
    expected = "expected a weight of each class"
    if counts is None:
        raise UserError(f"{KEY}: balanced: data '{spec.name}' do not state how many examples a class has; {expected}")
    for name, count in zip(spec.class_names, counts.tolist(), strict=True):
        if not count:
            raise UserError(f"{KEY}: balanced: class '{name}' has no training example; {expected}")
    values = counts.sum() / (len(counts) * counts.double())
    return ClassWeighting(tuple(values.tolist()), is_balanced=True)
