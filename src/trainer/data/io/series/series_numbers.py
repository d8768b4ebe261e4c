"""Numbers of time series in text cells: prices with currencies, and volumes with suffixes such as `12.3M`."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError
from trainer.data.io.tables.header_detection import MISSING_MARKERS, is_missing
from trainer.data.io.tables.number_format import FORMATS, NumberFormat, find_number_formats, parse_number, parse_numbers
from trainer.data.io.tables.text_table import TextTable

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
    """Return a column of numbers; equal cells are parsed once."""
    from pyarrow import array, compute

    cells: Any = table.column(column)
    plain = parse_numbers(cells, FORMATS[0], MISSING_MARKERS)
    others = compute.unique(cells.filter(array(~np.isfinite(plain)))).to_pylist()
    if not has_decimal_comma and all(map(is_missing_value, others)):
        return plain
    sample = [*others[:SAMPLE_ROWS], *sample_cells(table, column)[:MAX_FORMAT_CELLS]]
    formats = sorted(FORMATS, key=lambda item: (item.decimal == ",") != has_decimal_comma)
    number_format = max(formats, key=lambda item: sum(not math.isnan(_parse_cell(cell, item)) for cell in sample))
    encoded = cells.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    numbers = np.array([_parse_cell(text, number_format) for text in texts], np.float64)
    for index in np.flatnonzero(~np.isfinite(numbers)).tolist():
        if is_missing_value(texts[index]):
            continue
        row = compute.index(cells, texts[index]).as_py()
        kind = "price" if is_price else "number"
        raise UserError(f"{table.locate(row, column)}: '{texts[index]}' is not a {kind}; fix or remove the line")
    values: NDArray[np.float64] = numbers[encoded.indices.to_numpy(zero_copy_only=False)]
    return values


def _parse_cell(cell: str, number_format: NumberFormat) -> float:
    text, multiplier = _split_suffix(cell)
    return parse_number(text, number_format) * multiplier


def _split_suffix(cell: str) -> tuple[str, float]:
    match = SUFFIX_PATTERN.fullmatch(cell)
    return (match[1], MULTIPLIERS[match[2].lower()]) if match else (cell, 1.0)
