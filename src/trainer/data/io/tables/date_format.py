"""Dates and times in text cells, in ISO 8601, with month names, day or month first, and as Unix times.

Cells without a time zone are in the zone of the file, whatever it is. Cells with `Z`, `UTC`, `GMT` or an offset such as
`-05:00` are converted to UTC. Exception: if each cell has no time, or midnight in its zone, the cells are days, and
keep their date. Names of zones (`EST`) are not accepted, because several zones share a name. Fractions of a second are
cut off. Years of two digits are 1969 to 2068.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError
from trainer.data.io.tables.date_text import (
    DATE_ORDERS,
    DAY_SECONDS,
    TEXT_DATE_ORDERS,
    UNIX_TICKS_PER_SECOND,
    YEAR_PATTERN,
    DateOrder,
    DateReader,
    Days,
)
from trainer.data.io.tables.header_detection import is_missing

# range of the latest Unix time of a column, in seconds: 1973 to 5138, so that each number of digits has one unit
MIN_UNIX_SECONDS = 10**8
MAX_UNIX_SECONDS = 10**11
UNIX_PATTERN = re.compile(r"-?\d{1,19}(\.\d*)?", re.ASCII)
NAT_SECONDS = np.iinfo(np.int64).min  # NaT as an integer


@dataclass(frozen=True)
class DateFormat:
    """Format of dates; all separators, month names and times of day are accepted.

    Args:
        order: Order of year, month and day, or the unit of a Unix time. `"year_first"` includes ISO weeks and quarters.
    """

    order: DateOrder = "year_first"

    def __post_init__(self) -> None:
        if self.order not in DATE_ORDERS:
            raise UserError(f"data.date_format: expected one of {', '.join(DATE_ORDERS)}, not '{self.order}'")


class DateColumn:
    """Dates in the cells of a column; each distinct cell is parsed once.

    Args:
        cells: Cells of the column.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        indices = {cell: index for index, cell in enumerate(dict.fromkeys(cells))}
        self._distinct = [*indices]
        self._rows = np.array([indices[cell] for cell in cells], np.int64)
        self._reader = DateReader()
        self._readings: dict[str, tuple[Days, int, int]] = {}

    def find_formats(self, *, numbers: bool = False) -> list[DateFormat]:
        """Return the formats in which all cells are dates, except for missing ones; empty if there is none.

        `01/02/2019` has two: day first and month first.

        Args:
            numbers: Whether numbers may be Unix times and years, as in a column that is named `timestamp` or `year`.
        """
        present = [cell for cell in self._distinct if not is_missing(cell)]
        if not present or (not numbers and any(map(YEAR_PATTERN.fullmatch, present))):
            return []
        if numbers and all(map(UNIX_PATTERN.fullmatch, present)) and (unit := _find_unix_unit(present)):
            return [DateFormat(unit)]
        orders = {*TEXT_DATE_ORDERS}
        for cell in present:
            orders &= self._read(cell)[0].keys()
            if not orders:
                return []
        return [DateFormat(order) for order in DATE_ORDERS if order in orders]

    def parse(self, date_format: DateFormat) -> NDArray[np.datetime64]:
        """Return the dates as `datetime64[s]`: NaT if a cell is no date. See the module for time zones."""
        order = date_format.order
        read = _read_unix_time if order in UNIX_TICKS_PER_SECOND else self._read_date
        values = np.array([read(cell, order) for cell in self._distinct], np.int64).reshape(-1, 2)
        seconds, offsets = values.T
        is_date = seconds != NAT_SECONDS
        if (seconds[is_date] % DAY_SECONDS).any():
            seconds = np.where(is_date, seconds - offsets, seconds)
        return seconds.astype("datetime64[s]")[self._rows]

    def _read(self, cell: str) -> tuple[Days, int, int]:
        """Return the days of a cell, the seconds of its time of day, and the offset of its zone in seconds."""
        if cell not in self._readings:
            self._readings[cell] = self._reader.read(cell)
        return self._readings[cell]

    def _read_date(self, cell: str, order: DateOrder) -> tuple[int, int]:
        """Return the local time of a cell in seconds since 1970, and the offset of its zone in seconds."""
        days, seconds, offset = self._read(cell)
        day = days.get(order)
        return NAT_SECONDS if day is None else day * DAY_SECONDS + seconds, offset


def find_date_formats(cells: Sequence[str], *, numbers: bool = False) -> list[DateFormat]:
    """Return the formats in which all cells are dates; see `DateColumn.find_formats`."""
    return DateColumn(cells).find_formats(numbers=numbers)


def parse_dates(cells: Sequence[str], date_format: DateFormat) -> NDArray[np.datetime64]:
    """Return the dates of cells as `datetime64[s]`: NaT if a cell is no date. See the module for time zones."""
    return DateColumn(cells).parse(date_format)


def _read_unix_time(cell: str, order: DateOrder) -> tuple[int, int]:
    """Return the seconds since 1970 of a Unix time, and the offset 0 of its zone."""
    ticks = UNIX_TICKS_PER_SECOND[order]
    seconds = int(cell.partition(".")[0]) // ticks if UNIX_PATTERN.fullmatch(cell) else MAX_UNIX_SECONDS
    return seconds if abs(seconds) < MAX_UNIX_SECONDS else NAT_SECONDS, 0


def _find_unix_unit(cells: Sequence[str]) -> DateOrder | None:
    """Return the unit of the Unix times in cells, or None if the cells are other numbers."""
    values = [int(cell.partition(".")[0]) for cell in cells]
    for order, ticks in UNIX_TICKS_PER_SECOND.items():
        latest = max(values) / ticks
        if MIN_UNIX_SECONDS <= latest < MAX_UNIX_SECONDS and min(values) / ticks > -MAX_UNIX_SECONDS:
            return order
    return None
