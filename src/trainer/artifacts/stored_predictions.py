"""Predictions of a run for its test examples, in a file of the run directory."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.core.atomic_write import atomic_write_bytes
from trainer.core.errors import UserError

FILENAME = "test_predictions.npz"
MAX_FILE_BYTES = 2**25  # more are not stored
ARRAYS = ("preds", "scores", "target")
DTYPES = ("float32", "float64", "int64")


@dataclass(frozen=True)
class Predictions:
    """Predictions for some examples, as metrics receive them.

    Args:
        preds: Classes (examples,) or values (examples, outputs).
        scores: Scores of the second of two classes (examples,) or of each class (examples, classes), or the values.
        target: True classes (examples,) or values (examples, outputs).
    """

    preds: Tensor
    scores: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def select(self, rows: Tensor) -> "Predictions":
        """Return the predictions for some examples, which may be repeated."""
        return Predictions(self.preds[rows], self.scores[rows], self.target[rows])


def write_predictions(directory: Path, predictions: Predictions, checksum: str) -> None:
    """Write the predictions for the test examples of a run, unless they are larger than `MAX_FILE_BYTES`.

    Args:
        directory: Run directory.
        predictions: Predictions on the CPU.
        checksum: Checksum of the test examples.
    """
    arrays = {name: getattr(predictions, name).numpy() for name in ARRAYS}
    if sum(array.nbytes for array in arrays.values()) <= MAX_FILE_BYTES:
        buffer = io.BytesIO()
        np.savez(buffer, checksum=np.array(checksum), **arrays)
        atomic_write_bytes(directory / FILENAME, buffer.getbuffer())


def read_predictions(directory: Path) -> tuple[Predictions, str]:
    """Return the predictions of a run and the checksum of its test examples.

    Raises:
        UserError: The file is missing or invalid.
    """
    file = directory / FILENAME
    try:
        arrays = _read_arrays(file)
    except FileNotFoundError:
        raise UserError(f"'{directory}' has stored no test predictions") from None
    except Exception as error:  # the readers of archives and arrays raise errors of many types for invalid files
        raise UserError(f"cannot read '{file}': {error}") from None
    preds, scores, target = (torch.from_numpy(arrays[name]) for name in ARRAYS)
    if preds.shape != target.shape or not target.dim() or scores.shape[:1] != target.shape[:1]:
        raise UserError(f"cannot read '{file}': expected the arrays {', '.join(ARRAYS)} of equal length")
    return Predictions(preds, scores, target), str(arrays["checksum"])


def _read_arrays(file: Path) -> dict[str, Any]:
    """Return the arrays of a file by name.

    Raises:
        ValueError: The file is too large, or an array has an unexpected type. Invalid files raise any exception.
    """
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > 2 * MAX_FILE_BYTES:
        raise ValueError(f"{size:,} bytes; at most {2 * MAX_FILE_BYTES:,} are read")
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
        arrays = {name: content[name] for name in (*ARRAYS, "checksum")}
    for name in ARRAYS:
        if arrays[name].dtype.name not in DTYPES:
            raise ValueError(f"{name}: type {arrays[name].dtype.name}; expected {', '.join(DTYPES)}")
    return arrays
