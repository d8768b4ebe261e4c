"""Rows: numbers from CSV files; missing ones filled in, and each column brought to one scale."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.csv_file import CsvFile, csv_parts
from trainer.data.preprocessing.base import Examples, Preprocessing, files_in

ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


@dataclass(frozen=True)
class Rows(Preprocessing):
    """What is stored are rows of numbers as they stand in the file (rows, features), NaN where one is missing.

    Args:
        columns: Of the training file, the numbers of those that the network gets, from 0.
        width: Number of columns that the training file has.
        names: Of the columns that the network gets; empty where the file does not name them.
        delimiter: Between cells.
        missing: What stands for a missing number.
        mean: What takes the place of a missing number: (features,), float64. None: none may be missing.
        deviation: Of each column: the mean is taken away, and it is divided by this; None: neither is done.
    """

    columns: tuple[int, ...]
    width: int
    names: tuple[str, ...] = ()
    delimiter: str = ","
    missing: tuple[str, ...] = ()
    mean: Tensor | None = None
    deviation: Tensor | None = None

    def prepare(self, inputs: Tensor) -> Tensor:
        """Fill in the means, and standardise."""
        if self.mean is None:
            return inputs.float()
        mean = self.mean.to(inputs.device)
        filled = torch.where(inputs.isnan(), mean, inputs)
        return (filled if self.deviation is None else (filled - mean) / self.deviation.to(inputs.device)).float()

    def read(self, files: Iterable[Path], at_once: int) -> Iterator[Examples]:
        """The rows of CSV files; where the columns have names, other columns may stand between them."""
        for path in files_in(files, ENDINGS):
            for part in csv_parts(path, header=bool(self.names), delimiter=self.delimiter, rows=at_once):
                columns = self._columns(part)
                numbers = torch.from_numpy(part.numbers(columns, self.missing, "mend or remove the line"))
                self._check_range(part, columns, numbers)
                yield Examples([str(path)] * len(part.rows), [*part.lines], numbers)

    def _check_range(self, file: CsvFile, columns: Sequence[int], numbers: Tensor) -> None:
        """Raise an error if a number does not fit into the 32-bit floats of a network."""
        for row, column in (~self.prepare(numbers).isfinite()).nonzero().tolist():
            cell = file.rows[row][columns[column]]
            raise UserError(f"{file.where(row, columns[column])}: {cell} does not fit into a 32-bit float")

    def _columns(self, file: CsvFile) -> list[int]:
        """Where the network's columns stand in a file."""
        if self.names and len({*self.names}) == len(self.names):
            absent = [name for name in self.names if name not in file.names]
            if absent:
                near = did_you_mean(absent[0], file.names)
                many = f", of {len(absent)} that are missing: {', '.join(absent)}" if len(absent) > 1 else ""
                unnamed = "; the first line must name the columns" if len(absent) == len(self.names) else ""
                raise UserError(f"{file.path}, line {file.first}: no column '{absent[0]}'{many}{near}{unnamed}")
            return [file.index("FILES", name) for name in self.names]
        # the target may be left out
        columns = [*self.columns] if file.width == self.width else [*range(file.width)]
        if len(columns) != len(self.columns):
            training = "" if self.width == len(self.columns) else f", or {self.width} as in the training file"
            wrong = f"{file.width} columns, but the network takes {len(self.columns)}{training}"
            raise UserError(f"{file.path}, line {file.first}: {wrong}")
        if self.names and [*self.names] != [file.names[column] for column in columns]:
            wrong = f"the columns of the training are named {', '.join(self.names)}; here {', '.join(file.names)}"
            raise UserError(f"{file.path}, line {file.first}: {wrong}")
        return columns


def plain(features: int) -> Rows:
    """Rows of so many numbers, taken as they stand, from files without names of columns."""
    return Rows(tuple(range(features)), features)
