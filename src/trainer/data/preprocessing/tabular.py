"""Preprocessing of tables with numbers and categories."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.compressed_file import regular_file
from trainer.data.io.tables.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.tables.memory_table import is_table, make_text_table, to_arrow
from trainer.data.io.tables.table_file import TABLE_SUFFIXES, iter_tables
from trainer.data.io.tables.text_table import TextTable
from trainer.data.preprocessing.base import Examples, Preprocessing, iter_files, split_examples
from trainer.data.tabular.column_lookup import find_input_columns
from trainer.data.tabular.columns import Column, list_column_fields, restore_column
from trainer.data.tabular.encoding import count_numbers, count_slots, encode_categories, encode_numbers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TabularPreprocessing(Preprocessing):
    """Stored inputs are rows (rows, numbers + categories) in float64: numbers, NaN if missing, and codes.

    Network inputs are the numbers, an indicator of each number that may be missing, and the one-hot vectors.

    Args:
        columns: Fields of each input column, see `Column`.
        width: Number of columns of the training file.
        names: Column names of the training file; empty if it has none.
        dialect: Settings of the user about the storage of files, see `DialectSettings`; the rest is detected.
        missing: Cells that mark a missing value.
        mean: Replacements of missing numbers (numbers,). None leaves numbers unchanged; none may be missing then.
        std: Standard deviation of each number for standardization. None to skip it.
        known: Whether each code of a category is in the training rows (codes,); others become zeros. None: all are.
    """

    columns: tuple[Mapping[str, Any], ...]
    width: int
    names: tuple[str, ...] = ()
    dialect: Mapping[str, Any] | None = None
    missing: tuple[str, ...] = ()
    mean: Tensor | None = None
    std: Tensor | None = None
    known: Tensor | None = None

    @cached_property
    def inputs(self) -> tuple[Column, ...]:
        """Input columns."""
        return tuple(map(restore_column, self.columns))

    @cached_property
    def number_columns(self) -> list[Column]:
        """The column of each stored number."""
        return [column for column in self.inputs for _ in range(count_numbers(column))]

    @cached_property
    def categories(self) -> list[Column]:
        """Columns that are stored as codes."""
        return [column for column in self.inputs if column.kind == "category"]

    @cached_property
    def indicated(self) -> list[int]:
        """Indices of the stored numbers with an indicator: the first one of each column with missing cells."""
        columns = self.number_columns
        firsts = [index for index, column in enumerate(columns) if not index or columns[index - 1] is not column]
        return [index for index in firsts if columns[index].has_missing and columns[index].kind != "text"]

    @property
    def stored_size(self) -> int:
        """Number of stored numbers and codes per row."""
        return len(self.number_columns) + len(self.categories)

    @property
    def category_groups(self) -> tuple[tuple[int, int], ...]:
        """First network input and size of each one-hot vector."""
        start = len(self.number_columns) + len(self.indicated)
        groups = []
        for column in self.categories:
            groups.append((start, count_slots(column)))
            start += count_slots(column)
        return tuple(groups)

    @property
    def input_size(self) -> int:
        """Number of network inputs."""
        return len(self.number_columns) + len(self.indicated) + sum(map(count_slots, self.categories))

    def prepare(self, inputs: Tensor) -> Tensor:
        """Replace missing numbers by the means, standardize, and expand the codes of categories."""
        if self.mean is None and not self.categories:
            return inputs.float()
        count = len(self.number_columns)
        numbers = inputs[:, :count]
        parts = [self.standardize(numbers)]
        if self.indicated:
            parts.append(numbers[:, self.indicated].isnan().float())
        if self.categories:
            parts.append(self._expand(inputs[:, count:]))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def standardize(self, numbers: Tensor, number: int | None = None) -> Tensor:
        """Replace missing numbers by the means and standardize.

        Args:
            numbers: Stored numbers (rows, numbers).
            number: Index of the only number, if these are (rows, 1).
        """
        if self.mean is None:
            return numbers.float()
        part = slice(None) if number is None else slice(number, number + 1)
        mean = self.mean[part].to(numbers.device)
        filled = torch.where(numbers.isnan(), mean, numbers)
        return (filled if self.std is None else (filled - mean) / self.std[part].to(numbers.device)).float()

    def _expand(self, codes: Tensor) -> Tensor:
        """Convert codes (rows, categories) to the one-hot vectors of all categories side by side."""
        sizes = torch.tensor([count_slots(column) for column in self.categories])
        starts = (sizes.cumsum(0) - sizes).to(codes.device)
        vectors = torch.zeros(len(codes), int(sizes.sum()), device=codes.device)
        vectors.scatter_(1, codes.long() + starts, 1.0)
        return vectors if self.known is None else vectors * self.known.to(codes.device)

    def encode(self, table: TextTable, indices: Sequence[int], hint: str = "") -> Tensor:
        """Convert rows of text cells to stored inputs (rows, numbers + categories).

        Args:
            table: The rows.
            indices: Index of each input column in the table.
            hint: Advice about an invalid cell.

        Raises:
            UserError: If a cell is not of the type of its column; the message names its line.
        """
        pairs = [*zip(self.inputs, indices, strict=True)]
        stored = np.empty((len(table), self.stored_size))
        start = 0
        for column, index in pairs:
            if size := count_numbers(column):
                stored[:, start : start + size] = encode_numbers(table, column, index, self.missing, hint)
                start += size
        for column, index in pairs:
            if column.kind == "category":
                stored[:, start] = encode_categories(table, column, index, self.missing)
                start += 1
        return torch.from_numpy(stored)

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield the rows of tables with all their cells; files with column names may have additional columns."""
        for path in iter_files(files, TABLE_SUFFIXES):
            with regular_file(path) as file:
                yield from self._read_file(file, str(path), batch_size)

    def _read_file(self, file: Path, source: str, batch_size: int) -> Iterator[Examples]:
        settings = DialectSettings(**(self.dialect or {}))
        if not self.names:
            settings = replace(settings, header=False)
        dialect = detect_dialect(file, settings, [column.name for column in self.inputs])
        for table, inputs in self._encode_tables(file, iter_tables(file, dialect, rows=batch_size)):
            rows: list[int | None] = [table.find_line(row) for row in range(len(table))]
            yield Examples([source] * len(table), rows, inputs, _list_cells(table))

    def read_values(self, values: Any, batch_size: int) -> Iterator[Examples]:
        """Yield the rows of a data frame, of dictionaries, or of an array (rows, columns) of numbers."""
        inputs = self.inputs
        is_array = not is_table(values)
        names = [column.name for column in inputs] if is_array else []
        table = make_text_table(to_arrow(values, names), has_names=bool(self.names))
        if is_array and np.shape(values)[1] != len(inputs):
            raise UserError(f"predict: {np.shape(values)[1]} columns, but the network takes {len(inputs)}")
        for _, encoded in self._encode_tables(table.path, [table]):
            yield from split_examples(encoded, batch_size)

    def _encode_tables(self, file: Path, tables: Iterable[TextTable]) -> Iterator[tuple[TextTable, Tensor]]:
        """Yield parts of a table with their stored inputs; log columns and categories that training did not have."""
        indices: list[int] = []
        new: Counter[str] = Counter()
        for number, table in enumerate(tables):
            if number == 0:
                indices = find_input_columns(table, self.inputs, self.names, self.width)
                self._report_unknown_columns(file, table.names)
            inputs = self.encode(table, indices, "fix or remove the line")
            self._check_range(table, indices, inputs)
            self._count_new(inputs, new)
            yield table, inputs
        for name, count in new.items():
            cells = "1 cell has a value" if count == 1 else f"{count} cells have values"
            log.warning("%s, column '%s': %s that training did not have", file, name, cells)

    def _report_unknown_columns(self, file: Path, names: Sequence[str]) -> None:
        unknown = [name for name in names if name and name not in self.names]
        if self.names and unknown:
            log.warning("%s: columns that training did not have, and that are not used: %s", file, ", ".join(unknown))

    def _check_range(self, table: TextTable, indices: Sequence[int], inputs: Tensor) -> None:
        """Raise an error if a number does not fit into the 32-bit floats of a network."""
        numbers = self.standardize(inputs[:, : len(self.number_columns)])
        for row, number in (~numbers.isfinite()).nonzero().tolist():
            index = indices[self.inputs.index(self.number_columns[number])]
            raise UserError(f"{table.locate(row, index)}: {table.cell(row, index)} does not fit into a 32-bit float")

    def _count_new(self, inputs: Tensor, new: Counter[str]) -> None:
        """Count the cells of categories with values that are not in the training rows."""
        if self.known is None:
            return
        known = torch.split(self.known, [count_slots(column) for column in self.categories])
        codes = inputs.T[len(self.number_columns) :].long()
        for column, column_codes, is_known in zip(self.categories, codes, known, strict=True):
            if count := int((is_known[column_codes] == 0).sum()):
                new[column.name or str(column.index)] += count


def _list_cells(table: TextTable) -> dict[str, list[Any]]:
    """Return the cells of each column of a file with column names, for the output."""
    return {name: table.cells(index) for index, name in enumerate(table.names) if table.names.count(name) == 1}


def make_preprocessing(columns: Sequence[Column], **settings: Any) -> TabularPreprocessing:
    """Return a preprocessing of columns; see `TabularPreprocessing` for the settings."""
    return TabularPreprocessing(tuple(map(list_column_fields, columns)), **settings)


def make_passthrough(features: int) -> TabularPreprocessing:
    """Return a preprocessing of unchanged numbers from files without column names."""
    return make_preprocessing([Column(index, "", "number") for index in range(features)], width=features)
