"""Rows: numbers from CSV files; missing ones filled in, and each column brought to one scale."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer.data.csv_file import CsvFile, csv_parts
from trainer.data.preprocessing.base import Examples, Preprocessing, files_in
from trainer.errors import UserError, did_you_mean

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
                numbers = torch.from_numpy(part.numbers(self._columns(part), self.missing, "mend or remove the line"))
                yield Examples([str(path)] * len(part.rows), [*part.lines], numbers)

    def _columns(self, file: CsvFile) -> list[int]:
        """Where the network's columns stand in a file."""
        if self.names and len({*self.names}) == len(self.names):
            absent = [name for name in self.names if name not in file.names]
            if absent:
                near = did_you_mean(absent[0], file.names)
                many = f", of {len(absent)} that are missing: {', '.join(absent)}" if len(absent) > 1 else ""
                raise UserError(f"{file.path}, line {file.first}: no column '{absent[0]}'{near}{many}")
            return [file.index("FILES", name) for name in self.names]
        if file.width == self.width:
            return [*self.columns]
        if file.width == len(self.columns):  # the rest was left out: nobody knows it yet
            return [*range(file.width)]
        training = "" if self.width == len(self.columns) else f", or {self.width} as in the training file"
        raise UserError(
            f"{file.path}, line {file.first}: {file.width} columns, but the network takes {len(self.columns)}{training}"
        )


def plain(features: int) -> Rows:
    """Rows of so many numbers, taken as they stand, from files without names of columns."""
    return Rows(tuple(range(features)), features)
