"""Columns of a time series in a table, recognized by their names and cells."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from trainer.core.errors import UserError
from trainer.core.override_format import format_override
from trainer.data.io.series.series_numbers import is_number, sample_cells
from trainer.data.io.tables.date_format import find_date_formats
from trainer.data.io.tables.text_table import TextTable

ColumnKey = str | int  # name, or index from 0
InputColumns = Sequence[ColumnKey] | Literal["all"]

# names in lower case, without punctuation, in the order of preference
DATE_NAMES = "date datetime timestamp time day month year period datum fecha 日期 时间 日付".split(" ")  # noqa: SIM905
PRICE_NAMES = (
    ("adj close", "adjusted close", "adjclose", "adj close price"),
    ("close", "close price", "closing price", "close last", "收盘", "收盘价", "終値", "schlusskurs", "schluss"),
    ("price", "last", "last price", "settle", "value", "价格", "zuletzt", "cierre", "zamkniecie", "chiusura"),
)
MAX_HEADER_LINES = 3  # below the first one


@dataclass(frozen=True)
class SeriesColumns:
    """Indices of the columns of a time series.

    Args:
        date: Column of dates.
        time: Column of times of day, if the dates have none; None if there is none.
        price: Column of the target.
        inputs: Input columns of the network.
    """

    date: int
    time: int | None
    price: int
    inputs: tuple[int, ...]


def find_series_columns(
    table: TextTable, date: ColumnKey | None, price: ColumnKey | None, inputs: InputColumns
) -> SeriesColumns:
    """Return the columns of a time series; None is recognized.

    Args:
        table: The file, with all header lines merged.
        date: Column of dates.
        price: Column of the target.
        inputs: Input columns, `"all"` columns of numbers, or none for the price alone.

    Raises:
        UserError: If there is no such column, or several may be meant.
    """
    date_index = _find_date_column(table) if date is None else table.index("data.date_column", date)
    time_index = _find_time_column(table, date_index)
    others = [index for index in range(table.width) if index not in (date_index, time_index)]
    price_index = _find_price_column(table, others) if price is None else table.index("data.price_column", price)
    if inputs == "all":
        indices = [index for index in others if is_number_column(table, index)]
    else:
        indices = [table.index("data.input_columns", column) for column in inputs]
    return SeriesColumns(date_index, time_index, price_index, tuple(indices) or (price_index,))


def merge_header_lines(table: TextTable) -> TextTable:
    """Return a table whose lines above the first number or date are part of the column names.

    yfinance writes three lines: `Price,Close,High`, `Ticker,AAPL,AAPL` and `Date,,`. A column is named after its cell
    in the last line, else after that in the first one, and after all its cells if several columns have this name.
    """
    if not table.names:
        return table
    lines: list[list[str]] = [[*table.names]]
    for row in range(min(MAX_HEADER_LINES, len(table) - 1)):
        cells = [table.cell(row, column) for column in range(table.width)]
        if any(is_number(cell) or find_date_formats([cell], numbers=True) for cell in cells):
            break
        lines.append(cells)
    count = len(lines) - 1
    if not count:
        return table
    names = [last or first for first, last in zip(lines[0], lines[-1], strict=True)]
    parts = [" ".join(dict.fromkeys(filter(None, cells))) for cells in zip(*lines, strict=True)]
    names = [part if names.count(name) > 1 else name for name, part in zip(names, parts, strict=True)]
    columns = [column.slice(count) for column in table.columns]
    rows = None if table.lines is None else table.lines[count:]
    return replace(table, names=tuple(names), columns=columns, first_row=table.first_row + count, lines=rows)


def is_date_name(name: str) -> bool:
    """Return whether a column name is that of a column of dates or times."""
    return any(word in DATE_NAMES for word in normalize_name(name).split())


def normalize_name(name: str) -> str:
    """Return the words of a column name in lower case, without a number at its start."""
    words = re.findall(r"[^\W_]+", name.casefold())
    return " ".join(words[1:] if len(words) > 1 and words[0].isdecimal() else words)


def is_number_column(table: TextTable, column: int) -> bool:
    """Return whether the first cells of a column are numbers, except for missing ones."""
    cells = sample_cells(table, column)
    return bool(cells) and all(map(is_number, cells)) and not table.is_row_index(column)


def _find_date_column(table: TextTable) -> int:
    names = [normalize_name(name) for name in table.names]
    for name in DATE_NAMES:
        if name in names:
            return names.index(name)
    by_name = (index for index, name in enumerate(table.names) if is_date_name(name))
    candidates = [*((index, True) for index in by_name), *((index, False) for index in range(table.width))]
    if not table.names and table.width > 1:
        candidates.append((0, True))  # files of exchanges start with a Unix time, and may have no header
    for index, numbers in candidates:
        if find_date_formats(sample_cells(table, index), numbers=numbers):
            return index
    raise UserError(f"data.date_column: {table.path} has no column of dates; set data.date_column to its name or index")


def join_date_and_time(day: str, time: str) -> str:
    """Return the text of a date and its time of day, also if dots separate hours and minutes: `18.30.00`."""
    return f"{day} {time.replace('.', ':', 2) if ':' not in time else time}" if day else ""


def _find_time_column(table: TextTable, date: int) -> int | None:
    """Return the column of the times of day that belong to the dates: by its name, or after the dates without names."""
    names = table.names or ["time" if index == date + 1 else "" for index in range(table.width)]
    for index, name in enumerate(names):
        if index == date or normalize_name(name) not in ("time", "uhrzeit", "时间"):
            continue
        cells = sample_cells(table, index)
        if not table.names and not all(":" in cell for cell in cells):
            continue  # a number without a name is no time of day
        if find_date_formats([join_date_and_time("20000101", cell) for cell in cells]) and not find_date_formats(cells):
            return index
    return None


def _find_price_column(table: TextTable, columns: Sequence[int]) -> int:
    names = {index: normalize_name(table.names[index]) for index in columns} if table.names else {}
    for group in PRICE_NAMES:
        for name in group:
            if matches := [index for index in names if names[index] == name]:
                return _require_one(table, matches)
    numbers = [index for index in columns if is_number_column(table, index)]
    for word in ("close", "price"):
        if matches := [index for index in numbers if word in names.get(index, "").split()]:
            return _require_one(table, matches)
    return _require_one(table, numbers)


def _require_one(table: TextTable, columns: Sequence[int]) -> int:
    if len(columns) == 1:
        return columns[0]
    if not columns:
        raise UserError(f"data.price_column: {table.path} has no column of numbers besides the dates")
    keys = [table.name_or_index(index) for index in islice(columns, 10)]
    listed = ", ".join(map(str, keys)) + (", ..." if len(columns) > 10 else "")
    raise UserError(
        f"data.price_column: {table.path} has several columns that may be the price: {listed}; set one of them, for "
        f"example {format_override('data.price_column', keys[0])}"
    )
