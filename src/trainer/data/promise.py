"""Promises kept: whether loaded data are what their DataSpec said, and which data they were."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from trainer.errors import UserError
from trainer.spec import DataSpec


def check(spec: DataSpec, split: str, inputs: Tensor, targets: Tensor) -> None:
    """Refuse data that are not what was promised.

    Args:
        spec: The promise.
        split: Name of the split, for the message.
        inputs: At least one input as the network gets it: (some, *spec.shape).
        targets: All targets of the split.

    Raises:
        UserError: Names the split, what was promised and what was found.
    """
    where = f"data '{spec.name}', {split} split"
    if not len(targets):
        raise UserError(f"{where}: it is empty; keep fewer examples for the other splits")
    if (found := tuple(inputs.shape[1:])) != spec.shape:
        raise UserError(f"{where}: promised inputs of shape {spec.shape}, found {found}")
    if spec.target == "values":
        if (found := tuple(targets.shape[1:])) != (spec.output_size,):
            raise UserError(f"{where}: promised {spec.output_size} values an example, found shape {found}")
        return
    low, high, most = int(targets.min()), int(targets.max()), len(spec.class_names) - 1
    if low < 0 or high > most:
        raise UserError(f"{where}: promised classes 0 to {most}, found {low} to {high}")


def checksum(splits: Mapping[Any, Iterable[Tensor]]) -> str:
    """SHA-256 over names, types, shapes and numbers of all tensors: equal only for equal data."""
    digest = hashlib.sha256()
    for name, tensors in splits.items():
        for tensor in tensors:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)  # its bytes, uncopied
    return digest.hexdigest()
