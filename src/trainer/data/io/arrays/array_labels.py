"""Targets in array files, as classes or as numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import Target
from trainer.data.io.arrays.array_file import ArrayFile

MAX_CLASSES = 20  # more distinct whole numbers are values


def infer_task(array: ArrayFile) -> Target:
    """Return `"regression"` for floating-point targets, else `"classification"`.

    Raises:
        UserError: If the array contains neither numbers nor text, or floating-point numbers that may be classes.
    """
    if array.dtype.kind not in "buifUS":
        raise UserError(f"data.y: {array}: expected numbers or text, found type {array.dtype}")
    if array.dtype.kind != "f":
        return "classification"
    values = array.read()
    distinct = np.unique(values)
    if 1 < len(distinct) <= MAX_CLASSES and 2 * len(distinct) <= len(values) and (values == np.round(values)).all():
        label = "save y.argmax(1) of one-hot labels" if values[0].size > 1 else "data.task=classification"
        raise UserError(
            f"data.task: {array} contains only whole numbers such as {distinct[-1]:g}, as floating-point numbers; if "
            f"they are classes: {label}; if they are values: data.task=regression"
        )
    return "regression"


def read_labels(array: ArrayFile) -> NDArray[Any]:
    """Read the labels (examples,) of a classification.

    Raises:
        UserError: If an example has several labels, or a label is NaN.
    """
    labels = array.read()
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise UserError(
            f"data.y: {array}: shape {labels.shape}; expected one label per example: save y.argmax(1) of one-hot labels"
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise UserError(f"data.y: {array}: contains NaN or infinity; remove these examples")
    return labels


def find_classes(labels: NDArray[Any], array: ArrayFile) -> NDArray[Any]:
    """Return the sorted labels.

    Args:
        labels: Training labels.
        array: Their file, for messages.

    Raises:
        UserError: If there are fewer than two classes, or each label is different.
    """
    classes = np.unique(labels)
    if len(classes) < 2:
        raise UserError(f"data.y: {array}: all labels are equal; expected two or more classes")
    if len(classes) == len(labels) > 2:
        raise UserError(f"data.y: {array}: every label is different; if they are numbers: data.task=regression")
    return classes


def format_class_names(classes: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of the classes."""
    return tuple(
        label.decode() if isinstance(label, bytes) else f"{label:g}" if isinstance(label, float) else str(label)
        for label in classes
    )


def encode_labels(array: ArrayFile, classes: NDArray[Any]) -> Tensor:
    """Return the class index of each label.

    Raises:
        UserError: If a label is not one of the classes.
    """
    labels = read_labels(array)
    indices = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    unknown = (classes[indices] != labels).nonzero()[0]
    if len(unknown):
        row = int(unknown[0])
        raise UserError(f"data.y: {array}: label {labels[row]!s} of example {row} does not occur in the training file")
    return torch.from_numpy(indices.astype(np.int64))


def read_values(array: ArrayFile) -> Tensor:
    """Read the targets (examples, values) of a regression.

    Raises:
        UserError: If they are not numbers.
    """
    if array.dtype.kind not in "buif":
        raise UserError(f"data.y: {array}: expected numbers, found type {array.dtype}")
    values = array.read().astype(np.float64)
    return torch.from_numpy(values.reshape(len(values), -1))
