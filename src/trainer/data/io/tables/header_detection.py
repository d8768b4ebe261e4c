"""Detection of column names in the first row of a table."""

import math
from collections.abc import Sequence

from trainer.data.io.tables.number_format import parse_any_number

MISSING_MARKERS = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "#n/a", "<na>", "nil"})  # lower case
MAX_COMPARED_ROWS = 200


def is_missing(cell: str) -> bool:
    """Return whether a cell is one of the usual markers of a missing value."""
    return cell.casefold() in MISSING_MARKERS


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row contains the column names.

    A cell looks like data if it is a number above numbers, or occurs again in its column; it looks like a name if it is
    text above numbers. The row contains names if a cell looks like one, or if no cell looks like data.

    Args:
        rows: First rows of the table.
    """
    first, *others = rows
    if not others:
        return all(math.isnan(parse_any_number(cell)) for cell in first)
    others = others[:MAX_COMPARED_ROWS]
    is_data = False
    for index, name in enumerate(first):
        kind = classify_cell(name, [row[index] for row in others if index < len(row)])
        if kind == "name":
            return True
        is_data = is_data or kind == "data"
    return not is_data


def classify_cell(first: str, others: Sequence[str]) -> str:
    """Return `"data"` or `"name"`, or `""` if the first cell of a column may be both."""
    cells = {cell for cell in others if not is_missing(cell)}
    if not cells or is_missing(first):
        return ""
    numbers = sum(not math.isnan(parse_any_number(cell)) for cell in cells)
    is_numeric = 2 * numbers > len(cells)  # other cells may mark missing numbers
    if first in cells or (is_numeric and not math.isnan(parse_any_number(first))):
        return "data"
    return "name" if is_numeric else ""
