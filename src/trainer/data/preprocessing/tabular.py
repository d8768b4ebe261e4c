"""Preprocessing of numeric rows from CSV files: imputation of missing numbers and standardization of columns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.csv_file import CsvFile, read_csv_chunks
from trainer.data.preprocessing.base import Examples, Preprocessing, iter_files

TABLE_EXTENSIONS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


@dataclass(frozen=True)
class TabularPreprocessing(Preprocessing):
    """Stored inputs are rows of numbers (rows, features) as in the file, NaN if missing.

    Args:
        columns: Indices of the input columns in the training file, from 0.
        width: Number of columns of the training file.
        names: Names of the input columns; empty if the file has no header.
        delimiter: Delimiter of the cells.
        missing: Cells that mark a missing number.
        mean: Replacements of missing numbers (features,) in float64. None if no number may be missing.
        std: Standard deviation of each column for standardization. None to skip it.
    """

    columns: tuple[int, ...]
    width: int
    names: tuple[str, ...] = ()
    delimiter: str = ","
    missing: tuple[str, ...] = ()
    mean: Tensor | None = None
    std: Tensor | None = None

    def prepare(self, inputs: Tensor) -> Tensor:
        """Replace missing numbers by the means and standardize."""
        if self.mean is None:
            return inputs.float()
        mean = self.mean.to(inputs.device)
        filled = torch.where(inputs.isnan(), mean, inputs)
        return (filled if self.std is None else (filled - mean) / self.std.to(inputs.device)).float()

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield the rows of CSV files; files with column names may have additional columns."""
        for path in iter_files(files, TABLE_EXTENSIONS):
            for chunk in read_csv_chunks(path, header=bool(self.names), delimiter=self.delimiter, rows=batch_size):
                columns = self._find_columns(chunk)
                numbers = torch.from_numpy(chunk.numbers(columns, self.missing, "fix or remove the line"))
                self._check_range(chunk, columns, numbers)
                yield Examples([str(path)] * len(chunk.rows), [*chunk.lines], numbers)

    def _check_range(self, file: CsvFile, columns: Sequence[int], numbers: Tensor) -> None:
        """Raise an error if a number does not fit into the 32-bit floats of a network."""
        for row, column in (~self.prepare(numbers).isfinite()).nonzero().tolist():
            cell = file.rows[row][columns[column]]
            raise UserError(f"{file.locate(row, columns[column])}: {cell} does not fit into a 32-bit float")

    def _find_columns(self, file: CsvFile) -> list[int]:
        """Return the indices of the input columns in a file."""
        header = f"{file.path}, line {file.first_line}"
        if self.names and len({*self.names}) == len(self.names):
            missing = [name for name in self.names if name not in file.names]
            if missing:
                similar = did_you_mean(missing[0], file.names)
                others = f", of {len(missing)} that are missing: {', '.join(missing)}" if len(missing) > 1 else ""
                hint = "; the first line must contain the column names" if len(missing) == len(self.names) else ""
                raise UserError(f"{header}: no column '{missing[0]}'{others}{similar}{hint}")
            return [file.index("FILES", name) for name in self.names]
        # the target column is optional
        columns = [*self.columns] if file.width == self.width else [*range(file.width)]
        if len(columns) != len(self.columns):
            training = "" if self.width == len(self.columns) else f", or {self.width} as in the training file"
            raise UserError(f"{header}: {file.width} columns, but the network takes {len(self.columns)}{training}")
        if self.names and [*self.names] != [file.names[column] for column in columns]:
            raise UserError(
                f"{header}: columns {', '.join(file.names)}; expected {', '.join(self.names)}, as in training"
            )
        return columns


def make_passthrough(features: int) -> TabularPreprocessing:
    """Return a preprocessing of unchanged numbers from files without column names."""
    return TabularPreprocessing(tuple(range(features)), features)
