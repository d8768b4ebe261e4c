"""Time series in tables, such as the prices of a stock with their dates."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.series.series_columns import (
    ColumnKey,
    InputColumns,
    SeriesColumns,
    find_series_columns,
    merge_header_lines,
)
from trainer.data.io.series.series_numbers import read_numbers
from trainer.data.io.series.series_times import Times, format_times, read_times
from trainer.data.io.tables.date_format import DateFormat
from trainer.data.io.tables.date_text import DateOrder
from trainer.data.io.tables.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.tables.table_file import read_table
from trainer.data.io.tables.text_table import TextTable

MAX_MISSING_FRACTION = 0.1

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class SeriesSettings:
    """Settings of the user about a time series; None is recognized.

    Args:
        date_column: Column of dates.
        price_column: Column of the target.
        input_columns: Input columns, `"all"`, or none for the price alone.
        date_format: Order of year, month and day if the cells fit it; else it is recognized.
        dialect: Settings of the user about the table.
        is_positive: Whether prices must be positive, as required by returns.
        is_prediction: Whether the file is read for predictions: the lines of all rows are needed, and the column of
            dates may have another name than in training.
    """

    date_column: ColumnKey | None = None
    price_column: ColumnKey | None = None
    input_columns: InputColumns = ()
    date_format: DateOrder | None = None
    dialect: DialectSettings = field(default_factory=DialectSettings)
    is_positive: bool = False
    is_prediction: bool = False


@dataclass(frozen=True)
class SeriesSource:
    """Origin of a time series, for messages.

    Args:
        table: The file.
        columns: Columns that were read.
        date_format: Format of the dates.
        rows: Row of the table for each time.
        notes: Order of the rows, and dropped ones.
    """

    table: TextTable
    columns: SeriesColumns
    date_format: DateFormat
    rows: Rows
    notes: tuple[str, ...]

    def locate(self, index: int, column: int) -> str:
        """Return file, line and column of a cell of the time with this index."""
        return self.table.locate(int(self.rows[index]), column)


@dataclass(frozen=True)
class TimeSeries:
    """Values by time, the oldest first.

    Args:
        times: Times (rows,) in `datetime64[s]`, strictly increasing.
        prices: Target (rows,) in float64.
        inputs: Input columns (rows, columns) in float64.
        price_inputs: Whether each input column is the price.
        source: The file; None for synthetic data.
    """

    times: Times
    prices: Tensor
    inputs: Tensor
    price_inputs: tuple[bool, ...]
    source: SeriesSource | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.times)

    def find_line(self, row: int) -> int | None:
        """Return the line of a row in its file, from 1; None if the series is synthetic."""
        return self.source.table.find_line(int(self.source.rows[row])) if self.source else None

    @property
    def days(self) -> list[str]:
        """Times as text: `2004-08-19`, or `2004-08-19 09:30` if they have a time of day."""
        return format_times(self.times)


def read_series(path: Path, settings: SeriesSettings) -> TimeSeries:
    """Return the time series in a file, sorted by time, without missing and repeated rows.

    Args:
        path: The file.
        settings: Settings of the user.

    Raises:
        UserError: If the file is invalid; the message names file, line and column.
    """
    status = path.stat()
    return _read_series(path, settings, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read_series(path: Path, settings: SeriesSettings, _mtime: int, _size: int) -> TimeSeries:
    columns = (settings.date_column, settings.price_column, *settings.input_columns)
    names = [column for column in columns if isinstance(column, str)]
    dialect = detect_dialect(path, settings.dialect, names)
    table = merge_header_lines(read_table(path, dialect, with_lines=settings.is_prediction))
    date_column = settings.date_column
    if settings.is_prediction and isinstance(date_column, str) and date_column not in table.names:
        date_column = None
    indices = find_series_columns(table, date_column, settings.price_column, settings.input_columns)
    can_be_numbers = date_column is not None or not table.names
    times, date_format = read_times(table, indices, settings.date_format, can_be_numbers=can_be_numbers)
    values = read_numbers(table, (indices.price, *indices.inputs))
    rows, dropped = _drop_missing(table, indices, times, values)
    if settings.is_positive:
        _check_positive(table, indices.price, values, rows)
    rows, order = _sort(times, rows)
    rows, repeated = _drop_repeated(table, indices, times, values, rows)
    source = SeriesSource(table, indices, date_format, rows, tuple(filter(None, (order, dropped, repeated))))
    numbers = torch.from_numpy(values[rows])
    price_inputs = tuple(index == indices.price for index in indices.inputs)
    return TimeSeries(times[rows], numbers[:, 0].clone(), numbers[:, 1:].clone(), price_inputs, source)


def _drop_missing(
    table: TextTable, columns: SeriesColumns, times: Times, values: NDArray[np.float64]
) -> tuple[Rows, str]:
    """Return the rows without a missing cell, and a note about the others."""
    for index, column in enumerate((columns.price, *columns.inputs)):
        is_gap = np.isnan(values[:, index])
        if is_gap.sum() > max(1, MAX_MISSING_FRACTION * len(table)) or is_gap.all():
            row = int(is_gap.argmax())
            raise UserError(
                f"{table.locate(row, column)}: the first of {is_gap.sum():,} missing numbers in {len(table):,} rows; "
                "remove these rows from the file, or select another column"
            )
    has_gap = np.isnan(values).any(1)
    for row in np.flatnonzero(np.isnat(times) & ~has_gap).tolist():
        raise UserError(f"{table.locate(row, columns.date)}: the date is missing; fix or remove the line")
    note = f"dropped rows with missing numbers: {has_gap.sum():,}" if has_gap.any() else ""
    return np.flatnonzero(~has_gap), note


def _check_positive(table: TextTable, column: int, values: NDArray[np.float64], rows: Rows) -> None:
    for row in rows[values[rows, 0] <= 0].tolist():
        raise UserError(
            f"{table.locate(row, column)}: {table.cell(row, column)} is not above 0, so it has no return; fix it or "
            "use data.quantity=prices"
        )


def _sort(times: Times, rows: Rows) -> tuple[Rows, str]:
    """Return the rows sorted by time, and a note about their order in the file."""
    steps = np.diff(times[rows].astype(np.int64))
    if (steps >= 0).all():
        return rows, "oldest first"
    note = "newest first" if (steps <= 0).all() else "in no order"
    return rows[np.argsort(times[rows], kind="stable")], f"{note}, sorted by date"


def _drop_repeated(
    table: TextTable, columns: SeriesColumns, times: Times, values: NDArray[np.float64], rows: Rows
) -> tuple[Rows, str]:
    """Return the sorted rows without those that repeat time and numbers of another, and a note about them."""
    is_repeated = times[rows[1:]] == times[rows[:-1]]
    differs = (values[rows[1:]] != values[rows[:-1]]).any(1)
    for index in np.flatnonzero(is_repeated & differs).tolist():
        first, second = sorted(rows[index : index + 2].tolist())
        raise UserError(
            f"{table.locate(second, columns.date)}: {table.cell(second, columns.date)} is the same time as line "
            f"{table.find_line(first)}, with other numbers; expected each time once; remove one of the lines, or "
            "store the rows of each series in a file of its own"
        )
    note = f"dropped repeated rows: {is_repeated.sum():,}" if is_repeated.any() else ""
    return rows[np.concatenate([[True], ~is_repeated])] if len(rows) else rows, note
