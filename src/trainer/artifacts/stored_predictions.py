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
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            tensors: dict[str, Any] = {name: torch.from_numpy(content[name]) for name in ARRAYS}
            checksum = str(content["checksum"])
    except FileNotFoundError:
        raise UserError(f"'{directory}' has stored no test predictions") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read '{file}': {error}") from None
    if len({len(tensor) for tensor in tensors.values() if tensor.dim()}) != 1:
        raise UserError(f"cannot read '{file}': expected the arrays {', '.join(ARRAYS)} of equal length")
    return Predictions(**tensors), checksum
