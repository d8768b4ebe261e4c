"""Numbers of time series in text cells: prices with currencies, and volumes with suffixes such as `12.3M`."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError
from trainer.data.io.header_detection import MISSING_MARKERS, is_missing
from trainer.data.io.number_format import NumberFormat, find_number_formats, parse_number, parse_numbers
from trainer.data.io.table_file import TextTable

NUMBER_FORMATS = tuple(
    NumberFormat(decimal, thousands)
    for decimal, thousands in ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"))
)
SUFFIX_PATTERN = re.compile(r"(.*\d)\s*([KMBT])", re.IGNORECASE)
MULTIPLIERS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
OTHER_MISSING_MARKERS = (".", "--")
SAMPLE_ROWS = 1000
MAX_FORMAT_CELLS = 200


def is_missing_value(cell: str) -> bool:
    """Return whether a cell marks a missing value, `.` and `--` included."""
    return is_missing(cell) or cell in OTHER_MISSING_MARKERS


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, possibly with a suffix such as `M`."""
    return bool(find_number_formats(_split_suffix(cell)[0]))


def sample_cells(table: TextTable, column: int) -> list[str]:
    """Return the distinct cells at the start of a column that are not missing."""
    cells = dict.fromkeys(table.column(column).slice(0, SAMPLE_ROWS).to_pylist())
    return [cell for cell in cells if not is_missing_value(cell)]


def read_numbers(table: TextTable, columns: Sequence[int]) -> NDArray[np.float64]:
    """Return columns of numbers (rows, columns), NaN if missing.

    Numbers such as `1,234` are read with a decimal comma if a column of the file can be read only so.

    Args:
        table: The file.
        columns: Indices of the columns; the first one is the price.

    Raises:
        UserError: If a cell is no number; the message names its line.
    """
    samples = (sample_cells(table, column)[:MAX_FORMAT_CELLS] for column in range(table.width))
    has_decimal_comma = any(map(_has_decimal_comma, samples))
    numbers = {column: _read_column(table, column, column == columns[0], has_decimal_comma) for column in {*columns}}
    return np.stack([numbers[column] for column in columns], 1)


def _has_decimal_comma(cells: Sequence[str]) -> bool:
    """Return whether cells can be read as numbers only with a decimal comma."""
    formats = [find_number_formats(_split_suffix(cell)[0]) for cell in cells]
    common = set.intersection(*formats) if formats else set()
    return bool(common) and all(item.decimal == "," for item in common)


def _read_column(table: TextTable, column: int, is_price: bool, has_decimal_comma: bool) -> NDArray[np.float64]:
    cells: Any = table.column(column)
    plain = parse_numbers(cells, NUMBER_FORMATS[0], MISSING_MARKERS)
    texts = {row: cells[row].as_py() for row in np.flatnonzero(~np.isfinite(plain)).tolist()}
    others = dict.fromkeys(text for text in texts.values() if not is_missing_value(text))
    if not others and not has_decimal_comma:
        return plain
    sample = [*list(others)[:SAMPLE_ROWS], *sample_cells(table, column)[:MAX_FORMAT_CELLS]]
    order = sorted(NUMBER_FORMATS, key=lambda item: (item.decimal == ",") != has_decimal_comma)
    number_format = max(order, key=lambda item: sum(not math.isnan(_parse_cell(cell, item)) for cell in sample))
    values = parse_numbers(cells, number_format, MISSING_MARKERS)
    for row in np.flatnonzero(~np.isfinite(values)).tolist():
        cell = cells[row].as_py()
        if is_missing_value(cell):
            continue
        values[row] = _parse_cell(cell, number_format)
        if not math.isfinite(values[row]):
            kind = "price" if is_price else "number"
            raise UserError(f"{table.locate(row, column)}: '{cell}' is not a {kind}; fix or remove the line")
    return values


def _parse_cell(cell: str, number_format: NumberFormat) -> float:
    text, multiplier = _split_suffix(cell)
    return parse_number(text, number_format) * multiplier


def _split_suffix(cell: str) -> tuple[str, float]:
    match = SUFFIX_PATTERN.fullmatch(cell)
    return (match[1], MULTIPLIERS[match[2].lower()]) if match else (cell, 1.0)
