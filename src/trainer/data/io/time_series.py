"""Time series in tables: prices of a stock, or other values, with their dates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.date_format import DateFormat, DateOrder, find_date_formats, parse_dates
from trainer.data.io.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.series_columns import (
    ColumnKey,
    InputColumns,
    SeriesColumns,
    find_series_columns,
    is_date_name,
    merge_header_lines,
)
from trainer.data.io.series_numbers import is_missing_value, read_numbers
from trainer.data.io.table_file import TextTable, iter_tables, read_table

MAX_MISSING_FRACTION = 0.1
MAX_ROWS = 2**62

Times = NDArray[np.datetime64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class SeriesSettings:
    """What the user has set about a time series; None is detected.

    Args:
        date_column: Column of dates.
        price_column: Column of the target.
        input_columns: Input columns, `"all"`, or none for the price alone.
        date_format: How the dates are written, if the cells fit it; else it is recognized.
        dialect: How the table is stored.
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
        date_format: How the dates are written.
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


def format_times(times: Times) -> list[str]:
    """Return times as text, without the parts that are 0 in all of them: time of day, or seconds."""
    seconds = times.astype(np.int64)
    unit = "s" if (seconds % 60).any() else "m" if (seconds % 86_400).any() else "D"
    return [text.replace("T", " ") for text in np.datetime_as_string(times, unit).tolist()]


def read_series(path: Path, settings: SeriesSettings) -> TimeSeries:
    """Return the time series in a file, sorted by time, without missing and repeated rows.

    Args:
        path: The file.
        settings: What the user has set.

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
    table = next(iter_tables(path, dialect, rows=MAX_ROWS)) if settings.is_prediction else read_table(path, dialect)
    table = merge_header_lines(table)
    date_column = settings.date_column
    if settings.is_prediction and isinstance(date_column, str) and date_column not in table.names:
        date_column = None
    indices = find_series_columns(table, date_column, settings.price_column, settings.input_columns)
    times, date_format = _read_times(table, indices, settings)
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


def _read_times(table: TextTable, columns: SeriesColumns, settings: SeriesSettings) -> tuple[Times, DateFormat]:
    """Return the times of all rows, NaT if missing, and their format."""
    cells = table.cells(columns.date)
    if columns.time is not None:
        clock = table.cells(columns.time)
        cells = [f"{day} {time}" if day else "" for day, time in zip(cells, clock, strict=True)]
    name = table.names[columns.date] if table.names else ""
    can_be_numbers = settings.date_column is not None or is_date_name(name)
    date_format = _find_date_format(table, columns.date, cells, settings.date_format, can_be_numbers)
    times = parse_dates(cells, date_format)
    for row in np.flatnonzero(np.isnat(times)).tolist():
        if not is_missing_value(cells[row]):
            raise UserError(f"{table.locate(row, columns.date)}: '{cells[row]}' is not a date like 2004-08-19")
    return times, date_format


def _find_date_format(
    table: TextTable, column: int, cells: Sequence[str], preferred: DateOrder | None, can_be_numbers: bool
) -> DateFormat:
    """Return the preferred format if the cells fit it, else the one in which the rows are in order, if several fit.

    Raises:
        UserError: If several formats fit equally well.
    """
    if preferred:
        times = parse_dates([cell for cell in cells if not is_missing_value(cell)], DateFormat(preferred))
        if not np.isnat(times).any():
            return DateFormat(preferred)
    formats = find_date_formats(cells, numbers=can_be_numbers)
    if len(formats) == 1:
        return formats[0]
    if not formats:  # the one with the fewest invalid cells, whose first one is the error
        orders: tuple[DateOrder, ...] = ("year_first", "day_first", "month_first")
        return min(map(DateFormat, orders), key=lambda item: int(np.isnat(parse_dates(cells, item)).sum()))
    best, second = sorted((_measure_irregularity(parse_dates(cells, item)), item.order) for item in formats)[:2]
    if 2 * best[0] < second[0]:
        return DateFormat(best[1])
    choices = " or ".join(f"data.date_format={item.order}" for item in formats)
    raise UserError(
        f"data.date_format: day and month are ambiguous in {table.path}, {table.describe_column(column)}, for example "
        f"'{cells[0]}'; set {choices}"
    )


def _measure_irregularity(times: Times) -> float:
    """Return the largest step divided by the median step, or infinity if the rows are in no order."""
    steps = np.diff(times[~np.isnat(times)].astype(np.int64))
    if not len(steps) or not ((steps > 0).all() or (steps < 0).all()):
        return math.inf
    return float(np.abs(steps).max() / np.median(np.abs(steps)))


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
