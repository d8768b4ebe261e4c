"""Encoding of text cells as numbers, by the type of their column."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError
from trainer.data.io.tables.date_format import parse_dates
from trainer.data.io.tables.number_format import INFINITE_NUMBERS, find_number_formats, parse_numbers
from trainer.data.io.tables.text_table import TextTable
from trainer.data.tabular.columns import BOOLEANS, Column

TEXT_FEATURES = 64  # numbers per text: counts of words and pairs of words, by their hash
WORD_PATTERN = re.compile(r"\w+")
SECONDS_PER_DAY = 86_400.0
DATE_PERIODS = {"month": 12.0, "weekday": 7.0, "hour": 24.0}  # each becomes a sine and a cosine
DATE_FEATURES = 1 + 2 * len(DATE_PERIODS)  # and the number of days

Array = NDArray[np.float64]


def count_numbers(column: Column) -> int:
    """Return the number of numbers that a column is encoded as, besides the code of a category."""
    return {"number": 1, "boolean": 1, "date": DATE_FEATURES, "text": TEXT_FEATURES}.get(column.kind, 0)


def count_slots(column: Column) -> int:
    """Return the number of codes of a category: its values, all rarer values, and a missing one."""
    return len(column.categories) + 2 if column.kind == "category" else 0


def encode_numbers(table: TextTable, column: Column, index: int, missing: Collection[str], hint: str = "") -> Array:
    """Return the numbers of a column (rows, `count_numbers`), NaN if missing.

    Args:
        table: Rows.
        column: Column that is no category.
        index: Index of the column in the table.
        missing: Cells that mark a missing value.
        hint: Advice about an invalid cell. Defaults to the settings of a data set.

    Raises:
        UserError: If a cell is not of the column's type; the message names its line.
    """
    if column.kind == "text":
        return hash_texts(table.cells(index), missing)
    cells = table.column(index) if column.kind == "boolean" else table.columns[index]
    if column.kind == "boolean":
        values = _look_up(cells, {text: BOOLEANS.get(text.casefold(), math.nan) for text in _unique(cells)})
    elif column.kind == "date":
        return _encode_dates(table, column, index, missing, hint)
    else:
        values = parse_numbers(cells, column.number_format, missing)
    _check_cells(table, column, index, values, missing, hint)
    return values[:, None]


def encode_categories(table: TextTable, column: Column, index: int, missing: Collection[str]) -> Array:
    """Return the code of each cell of a category (rows,): its value, then all other values, then missing ones."""
    codes = {text: float(code) for code, text in enumerate(column.categories)}
    other = float(len(column.categories))
    cells = table.column(index)
    markers = dict.fromkeys(missing, other + 1)
    return _look_up(cells, {text: codes.get(text, markers.get(text, other)) for text in _unique(cells)})


def _unique(cells: Any) -> list[str]:
    from pyarrow import compute

    texts: list[str] = compute.unique(cells).to_pylist()
    return texts


def _look_up(cells: Any, values: Mapping[str, float]) -> Array:
    """Return the value of each cell."""
    from pyarrow import compute

    encoded = compute.dictionary_encode(cells)
    numbers = np.array([values[text] for text in encoded.dictionary.to_pylist()], np.float64)
    return numbers[encoded.indices.to_numpy(zero_copy_only=False)]


def _check_cells(
    table: TextTable, column: Column, index: int, values: Array, missing: Collection[str], hint: str
) -> None:
    """Raise an error for the first cell that is neither a value nor missing."""
    for row in np.flatnonzero(~np.isfinite(values)).tolist():
        cell = table.cell(row, index)
        if math.isnan(values[row]) and cell in missing:
            continue
        if math.isnan(values[row]) and cell == "":
            reason = "is missing"
        elif math.isnan(values[row]) and not _is_number(column, cell):
            reason = f"has {cell!r}, expected a {column.kind}"
        else:
            reason = f"has {cell!r}, which is out of the range of 64-bit floats"
        default = (
            f"add it to data.missing if it means a missing {column.kind}, or leave out {table.describe_column(index)} "
            "by data.drop"
        )
        if table.is_first_row(row):
            default = f"if this line contains the column names, set data.header=true; else {default}"
        raise UserError(f"{table.locate(row, index)} {reason}; {hint or default}")


def _is_number(column: Column, cell: str) -> bool:
    is_number = column.kind == "number" and column.number_format in find_number_formats(cell)
    return is_number and not cell.casefold().endswith(INFINITE_NUMBERS)


def _encode_dates(table: TextTable, column: Column, index: int, missing: Collection[str], hint: str) -> Array:
    """Return days since 1970, and sine and cosine of month, weekday and hour (rows, `DATE_FEATURES`)."""
    assert column.date_format is not None
    times = parse_dates(table.cells(index), column.date_format)  # datetime64[s] (rows,)
    seconds = times.astype(np.int64).astype(np.float64)
    seconds[np.isnat(times)] = np.nan
    _check_cells(table, column, index, seconds, missing, hint)
    parts = {
        "month": (times.astype("datetime64[M]").astype(np.int64) % 12).astype(np.float64),
        "weekday": np.floor(seconds / SECONDS_PER_DAY + 3) % 7,  # 1970-01-01 was a Thursday
        "hour": seconds / 3600 % 24,
    }
    angles = [parts[name] * (2 * math.pi / period) for name, period in DATE_PERIODS.items()]
    columns = [seconds / SECONDS_PER_DAY, *(function(angle) for angle in angles for function in (np.sin, np.cos))]
    encoded = np.stack(columns, 1)
    encoded[np.isnan(seconds)] = np.nan
    return encoded


def hash_texts(texts: Sequence[str], missing: Collection[str]) -> Array:
    """Return words and pairs of words of each text as numbers (texts, `TEXT_FEATURES`) of length 1.

    The hash of a word is the index of a number, to which 1 or -1 is added.

    Source:
        Weinberger, Dasgupta, Langford, Smola, Attenberg 2009, Feature Hashing for Large Scale Multitask Learning.
    """
    encoded = np.zeros((len(texts), TEXT_FEATURES))
    for row, text in enumerate(texts):
        words = [] if text in missing else WORD_PATTERN.findall(text.casefold())
        for term in [*words, *(f"{first} {second}" for first, second in pairwise(words))]:
            code = crc32(term.encode())
            encoded[row, code % TEXT_FEATURES] += 1.0 if code & 2**31 else -1.0
    return encoded / np.maximum(np.linalg.norm(encoded, axis=1, keepdims=True), 1.0)
