"""Validation of loaded data against their DataSpec, and their checksum."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import PADDING_INDEX, DataSpec
from trainer.data.loading.split import Split

log = logging.getLogger(__name__)


def validate_split(spec: DataSpec, name: str, split: Split, prepared: Tensor) -> None:
    """Raise an error if a split does not match its spec.

    Args:
        spec: Spec of the data set.
        name: Name of the split, for the message.
        split: Examples as stored.
        prepared: Network inputs of some examples (some, *spec.shape).

    Raises:
        UserError: If shapes, types or values differ from the spec; the message names the split and the difference.
    """
    prefix = f"data '{spec.name}', {name} split"
    inputs, targets = split
    if not len(targets):
        raise UserError(f"{prefix}: it is empty; use fewer examples for the other splits")
    if spec.kind == "tokens":
        _validate_tokens(spec, prefix, prepared)
    elif (shape := tuple(prepared.shape[1:])) != spec.shape:
        raise UserError(f"{prefix}: expected inputs of shape {spec.shape}, found {shape}")
    if len(inputs) != len(targets):
        raise UserError(f"{prefix}: {len(inputs)} inputs, but {len(targets)} targets")
    if spec.target == "regression":
        _validate_regression_targets(spec, prefix, name, targets)
    elif targets.dim() != 1 or targets.dtype != torch.int64:
        raise UserError(
            f"{prefix}: expected class indices of shape (examples,) and type int64, found {targets.dtype} "
            f"{(*targets.shape,)}"
        )
    else:
        _validate_range(prefix, "classes", targets, len(spec.class_names))


def _validate_regression_targets(spec: DataSpec, prefix: str, name: str, targets: Tensor) -> None:
    if name != "train" and len(targets) < 2:
        raise UserError(f"{prefix}: it has one example, but r2 needs two; use more examples for it")
    if (shape := tuple(targets.shape[1:])) != (spec.output_size,):
        raise UserError(f"{prefix}: expected {spec.output_size} target value(s) per example, found shape {shape}")
    if not targets.is_floating_point():
        raise UserError(f"{prefix}: expected floating-point targets, found {targets.dtype}")
    if not targets.isfinite().all():
        row = int((~targets.isfinite()).any(1).nonzero()[0])
        raise UserError(f"{prefix}: the target of example {row} is {targets[row].tolist()}; expected finite numbers")
    if name == "train" and (targets == targets[0]).all():
        log.warning(f"warning: {prefix}: every target is {targets[0].tolist()}; there is nothing to learn")


def _validate_tokens(spec: DataSpec, prefix: str, prepared: Tensor) -> None:
    if prepared.dim() != 2 or prepared.dtype != torch.int64 or not 1 <= prepared.shape[1] <= spec.shape[0]:
        shape = (*prepared.shape[1:],)
        raise UserError(
            f"{prefix}: expected 1 to {spec.shape[0]} tokens per text of type int64, found {prepared.dtype} {shape}"
        )
    _validate_range(prefix, "tokens", prepared, spec.vocabulary_size)
    filled = prepared != PADDING_INDEX
    if not filled[:, 0].all() or (filled[:, 1:] & ~filled[:, :-1]).any():
        raise UserError(f"{prefix}: padding (token {PADDING_INDEX}) is allowed only after the last token of a text")


def _validate_range(prefix: str, kind: str, indices: Tensor, count: int) -> None:
    low = int(indices.min())
    high = int(indices.max())
    if low < 0 or high >= count:
        raise UserError(f"{prefix}: expected {kind} 0 to {count - 1}, found {low} to {high}")


def checksum(splits: Mapping[Any, Iterable[Tensor]]) -> str:
    """Return the SHA-256 over names, types, shapes and values of all tensors."""
    digest = hashlib.sha256()
    for name, tensors in splits.items():
        for tensor in tensors:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)  # the bytes, without a copy
    return digest.hexdigest()
