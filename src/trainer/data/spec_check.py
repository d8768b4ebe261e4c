"""Promises kept: whether loaded data are what their DataSpec said, and which data they were."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import PADDING, DataSpec
from trainer.data.loading.split import Split

log = logging.getLogger(__name__)


def check(spec: DataSpec, name: str, split: Split, prepared: Tensor) -> None:
    """Refuse data that are not what was promised.

    Args:
        spec: The promise.
        name: Of the split, for the message.
        split: Its examples as stored.
        prepared: Some of its inputs as the network gets them: (some, *spec.shape).

    Raises:
        UserError: Names the split, what was promised and what was found.
    """
    where = f"data '{spec.name}', {name} split"
    inputs, targets = split
    if not len(targets):
        raise UserError(f"{where}: it is empty; keep fewer examples for the other splits")
    found = tuple(prepared.shape[1:])
    if spec.kind == "tokens":
        _check_tokens(spec, where, prepared)
    elif found != spec.shape:
        raise UserError(f"{where}: promised inputs of shape {spec.shape}, found {found}")
    if len(inputs) != len(targets):
        raise UserError(f"{where}: {len(inputs)} inputs, but {len(targets)} targets")
    if spec.target == "values":
        if name != "train" and len(targets) < 2:
            raise UserError(f"{where}: it has one example, and r2 needs two; keep more for it")
        if (found := tuple(targets.shape[1:])) != (spec.output_size,):
            raise UserError(f"{where}: promised {spec.output_size} values an example, found shape {found}")
        if not targets.is_floating_point():
            raise UserError(f"{where}: promised values, floating-point numbers; found {targets.dtype}")
        if not targets.isfinite().all():
            row = int((~targets.isfinite()).any(1).nonzero()[0])
            raise UserError(f"{where}: the target of example {row} is {targets[row].tolist()}; expected finite numbers")
        if name == "train" and (targets == targets[0]).all():
            log.warning(f"warning: {where}: every target is {targets[0].tolist()}; there is nothing to learn")
        return
    if targets.dim() != 1 or targets.dtype != torch.int64:
        raise UserError(
            f"{where}: promised classes, int64 numbers in one row; found {targets.dtype} {(*targets.shape,)}"
        )
    low, high, most = int(targets.min()), int(targets.max()), len(spec.class_names) - 1
    if low < 0 or high > most:
        raise UserError(f"{where}: promised classes 0 to {most}, found {low} to {high}")


def _check_tokens(spec: DataSpec, where: str, prepared: Tensor) -> None:
    """Refuse tokens that a network would stumble over: too many, unknown to the vocabulary, or after padding."""
    if prepared.dim() != 2 or prepared.dtype != torch.int64 or not 1 <= prepared.shape[1] <= spec.shape[0]:
        found = f"{prepared.dtype} {(*prepared.shape[1:],)}"
        raise UserError(f"{where}: promised 1 to {spec.shape[0]} tokens a text, int64 numbers; found {found}")
    low, high, most = int(prepared.min()), int(prepared.max()), spec.vocabulary_size - 1
    if low < 0 or high > most:
        raise UserError(f"{where}: promised tokens 0 to {most}, found {low} to {high}")
    filled = prepared != PADDING
    if not filled[:, 0].all() or (filled[:, 1:] & ~filled[:, :-1]).any():
        raise UserError(f"{where}: padding (token {PADDING}) may stand only behind a text's last token")


def checksum(splits: Mapping[Any, Iterable[Tensor]]) -> str:
    """SHA-256 over names, types, shapes and numbers of all tensors: equal only for equal data."""
    digest = hashlib.sha256()
    for name, tensors in splits.items():
        for tensor in tensors:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)  # its bytes, uncopied
    return digest.hexdigest()
