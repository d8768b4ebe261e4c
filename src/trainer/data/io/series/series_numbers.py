"""Numbers of time series in text cells: prices with currencies, and volumes with suffixes such as `12.3M`."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError
from trainer.data.io.tables.header_detection import MISSING_MARKERS, is_missing
from trainer.data.io.tables.number_format import (
    FORMATS,
    NumberFormat,
    find_number_formats,
    parse_number,
    parse_numbers,
    sort_formats,
)
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

    Numbers such as `1,234` are read with the decimal separator of the file, see `sort_formats`.

    Args:
        table: The file.
        columns: Indices of the columns; the first one is the price.

    Raises:
        UserError: If a cell is no number; the message names its line.
    """
    samples = (sample_cells(table, column)[:MAX_FORMAT_CELLS] for column in range(table.width))
    formats = sort_formats(map(_find_common_formats, samples))
    numbers = {column: _read_column(table, column, column == columns[0], formats) for column in {*columns}}
    return np.stack([numbers[column] for column in columns], 1)


def _find_common_formats(cells: Sequence[str]) -> set[NumberFormat]:
    """Return the formats in which all cells are numbers."""
    formats = [find_number_formats(_split_suffix(cell)[0]) for cell in cells]
    return set.intersection(*formats) if formats else set()


def _read_column(table: TextTable, column: int, is_price: bool, formats: Sequence[NumberFormat]) -> NDArray[np.float64]:
    """Return a column of numbers in the format that fits best, the first of several; equal cells are parsed once."""
    from pyarrow import array, compute

    cells: Any = table.column(column)
    plain = parse_numbers(cells, FORMATS[0], MISSING_MARKERS)
    others = compute.unique(cells.filter(array(~np.isfinite(plain)))).to_pylist()
    if formats[0] == FORMATS[0] and all(map(is_missing_value, others)):
        return plain
    sample = [*others[:SAMPLE_ROWS], *sample_cells(table, column)[:MAX_FORMAT_CELLS]]
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
