"""Header check of CSV files: whether the first line names the columns or is a row of data."""

import math
from collections.abc import Mapping, Sequence

from trainer.core.errors import UserError
from trainer.data.io.csv_file import CsvFile, number_or_nan

ROWS_COMPARED = 1000  # a file may be larger than the memory
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")  # lower case; such cells are neither a name nor a number
ADD_NAMES = "put a line with the names of the columns above it"
Columns = Mapping[str, Sequence[str | int]]


def check_header(
    file: CsvFile, columns: Columns, unnamed: str = "set data.header=false", labels: Sequence[str] = ()
) -> None:
    """Raise an error if the first line is read as names of columns but looks like a row of data.

    A cell of the first line looks like data if it is a number in a column of numbers, if it occurs again in its
    column, or if it is the label of a class. It looks like a name if it is another word above a column of numbers; one
    such cell is enough to make a line of names. So is a column that is set by its name.

    Args:
        file: The file, or its first part.
        columns: The columns that are set, by config key, the most important key first; empty for a prediction.
        unnamed: What to do if the file has no names of columns.
        labels: Labels of classes that the first of the columns may contain.

    Raises:
        UserError: The first line looks like data; says which cell does and what to set.
    """
    if not file.names or any(column in file.names for group in columns.values() for column in group):
        return
    rows = file.rows[:ROWS_COMPARED]
    names = [*file.names]
    if names in rows and all(math.isnan(number_or_nan(name)) for name in names):
        again = file.lines[rows.index(names)]
        raise UserError(
            f"{file.path}, line {again}: the same as line {file.first}; remove it if line {file.first} names the "
            f"columns, else {unnamed}"
        )
    kinds = [_kind(name, rows, column) for column, name in enumerate(names)]
    label = next((group[0] for group in columns.values()), None)
    if isinstance(label, int) and -len(names) <= label < len(names):
        kinds[label] = "data" if names[label].casefold() in {each.casefold() for each in labels} else kinds[label]
    if "data" in kinds and "name" not in kinds:
        cell = names[kinds.index("data")]
        raise UserError(
            f"{file.path}, line {file.first}: read as names of columns, but '{cell}' looks like data, as in the rows "
            f"below; {unnamed}{_by_name(names, columns)}"
        )


def _kind(name: str, rows: Sequence[Sequence[str]], column: int) -> str:
    """Return `"data"` or `"name"`, or `""` if a cell of the first line may be both."""
    cells = {row[column] for row in rows if row[column].casefold() not in MISSING}
    if not cells or name.casefold() in MISSING:
        return ""
    numbers = sum(not math.isnan(number_or_nan(cell)) for cell in cells)
    numeric = 2 * numbers > len(cells)  # words among them may stand for missing numbers
    if name in cells or (numeric and not math.isnan(number_or_nan(name))):
        return "data"
    return "name" if numeric else ""


def _by_name(names: Sequence[str], columns: Columns) -> str:
    """Return how to set the first of the columns by its name, if it is set by its index."""
    for key, (column, *_) in columns.items():
        if isinstance(column, int) and -len(names) <= column < len(names):
            return f"\n  if the line does name the columns, set one by its name: '{key}=\"{names[column]}\"'"
        break
    return ""
