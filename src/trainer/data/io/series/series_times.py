"""Dates and times of the rows of a time series."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError
from trainer.data.io.series.series_columns import SeriesColumns, is_date_name, join_date_and_time
from trainer.data.io.series.series_numbers import is_missing_value
from trainer.data.io.tables.date_format import DateColumn, DateFormat
from trainer.data.io.tables.date_text import TEXT_DATE_ORDERS, UNIX_TICKS_PER_SECOND, DateOrder
from trainer.data.io.tables.text_table import TextTable

Times = NDArray[np.datetime64]


def format_times(times: Times) -> list[str]:
    """Return times as text, without the parts that are 0 in all of them: time of day, or seconds."""
    seconds = times.astype(np.int64)
    unit: Literal["s", "m", "D"] = "s" if (seconds % 60).any() else "m" if (seconds % 86_400).any() else "D"
    return [text.replace("T", " ") for text in np.datetime_as_string(times, unit=unit).tolist()]


def read_times(
    table: TextTable, columns: SeriesColumns, preferred: DateOrder | None, *, can_be_numbers: bool
) -> tuple[Times, DateFormat]:
    """Return the times of all rows, NaT if missing, and their format.

    Args:
        table: The file.
        columns: Columns of the series.
        preferred: Format of the dates if the cells fit it; else it is recognized.
        can_be_numbers: Whether numbers may be Unix times and years, whatever the name of the column is.

    Raises:
        UserError: If a cell is no date, or day and month are ambiguous.
    """
    cells = table.cells(columns.date)
    if columns.time is not None:
        clock = table.cells(columns.time)
        cells = [*map(join_date_and_time, cells, clock)]
    name = table.names[columns.date] if table.names else ""
    can_be_numbers = can_be_numbers or is_date_name(name)
    dates = DateColumn(cells)
    is_missing = np.array([*map(is_missing_value, cells)], bool)
    date_format = DateFormat(preferred) if preferred else None
    if date_format is None or (np.isnat(dates.parse(date_format)) & ~is_missing).any():
        date_format = _find_date_format(table, columns.date, dates, can_be_numbers)
    times = dates.parse(date_format)
    for row in np.flatnonzero(np.isnat(times) & ~is_missing).tolist():
        raise UserError(f"{table.locate(row, columns.date)}: '{cells[row]}' is not a date like 2004-08-19")
    return times, date_format


def _find_date_format(table: TextTable, column: int, dates: DateColumn, can_be_numbers: bool) -> DateFormat:
    """Return the format that all dates fit, or the one in which the rows are in order, if several fit.

    Raises:
        UserError: If several formats fit equally well.
    """
    formats = dates.find_formats(numbers=can_be_numbers)
    if len(formats) == 1:
        return formats[0]
    if not formats:  # the one with the fewest invalid cells, whose first one is the error
        counts = {order: int(np.isnat(dates.parse(DateFormat(order))).sum()) for order in TEXT_DATE_ORDERS}
        if can_be_numbers:
            units = {unit: int(np.isnat(dates.parse(DateFormat(unit))).sum()) for unit in UNIX_TICKS_PER_SECOND}
            counts |= {unit: count for unit, count in units.items() if count}  # numbers that all fit are too small
        return DateFormat(min(counts, key=lambda order: counts[order]))
    best, second = sorted((_measure_irregularity(dates.parse(item)), item.order) for item in formats)[:2]
    if 2 * best[0] < second[0]:
        return DateFormat(best[1])
    choices = " or ".join(f"data.date_format={item.order}" for item in formats)
    raise UserError(
        f"data.date_format: day and month are ambiguous in {table.path}, {table.describe_column(column)}, for example "
        f"'{table.cell(0, column)}'; set {choices}"
    )


def _measure_irregularity(times: Times) -> float:
    """Return the largest step divided by the median step, or infinity if the rows are in no order."""
    steps = np.diff(times[~np.isnat(times)].astype(np.int64))
    if not len(steps) or not ((steps > 0).all() or (steps < 0).all()):
        return math.inf
    return float(np.abs(steps).max() / np.median(np.abs(steps)))
