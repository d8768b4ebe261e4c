"""Frequencies of classes, and sampling that makes them equal."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec

Sampling = Literal["balanced"] | None  # None: each training example once per pass
KEY = "data.sampling"
TARGET_ATTRIBUTES = ("targets", "labels")  # of data sets of torchvision


def require_classes(spec: DataSpec, sampling: Sampling) -> None:
    """Raise a `UserError` if the sampling is invalid, or balanced for data without classes."""
    if sampling not in ("balanced", None):
        raise UserError(f"{KEY}: '{sampling}' is invalid; expected balanced or null")
    if sampling and spec.target != "classification":
        raise UserError(f"{KEY}: data '{spec.name}' has values, not classes; expected null")


def balance_weights(targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return sampling weights (examples,) with the same sum for each class that has examples.

    Args:
        targets: Classes of the examples (examples,).
        weights: Weights within a class (examples,). Defaults to equal ones.
    """
    weights = torch.ones(len(targets), dtype=torch.float64) if weights is None else weights.double()
    sums = torch.zeros(int(targets.max()) + 1, dtype=torch.float64).index_add_(0, targets, weights)
    return weights / sums[targets].clamp(min=torch.finfo(torch.float64).tiny)


def find_targets(dataset: Any) -> Tensor | None:
    """Return the classes (examples,) of a PyTorch data set without reading its examples; None if they are not known.

    Known are `TensorDataset`, data sets with an attribute `targets` or `labels`, and subsets of them.
    """
    if isinstance(dataset, Subset):
        targets = find_targets(dataset.dataset)
        return None if targets is None else targets[torch.as_tensor(dataset.indices)]
    values: Any = dataset.tensors[-1] if isinstance(dataset, TensorDataset) else None
    for name in TARGET_ATTRIBUTES:
        values = getattr(dataset, name, None) if values is None else values
    if not isinstance(values, Sequence | Tensor) and not hasattr(values, "__array__"):
        return None
    targets = torch.as_tensor(values)
    is_class = targets.dim() == 1 and not targets.is_floating_point() and bool((targets >= 0).all())
    return targets.long() if is_class else None
