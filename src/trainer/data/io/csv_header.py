"""Check whether the first line of a CSV file contains column names or data."""

import math
from collections.abc import Mapping, Sequence

from trainer.core.errors import UserError
from trainer.data.io.csv_file import CsvFile, parse_float

MAX_COMPARED_ROWS = 1000
MISSING_VALUES = {"", "na", "n/a", "nan", "null", "none", "?", "-"}  # lower case; neither a name nor a number
ADD_HEADER_HINT = "add a line with the column names above it"
Columns = Mapping[str, Sequence[str | int]]


def check_header(
    file: CsvFile, columns: Columns, unnamed: str = "set data.header=false", labels: Sequence[str] = ()
) -> None:
    """Raise an error if the first line is read as column names but looks like data.

    A cell looks like data if it is a number in a numeric column, occurs again in its column, or is a class label. A
    cell looks like a name if it is text above a numeric column. The line is accepted if any cell looks like a name, or
    if a column is set by its name.

    Args:
        file: The file, or its first chunk.
        columns: Columns set by the user, by config key, the most important key first; empty for a prediction.
        unnamed: Advice about a file without column names.
        labels: Class labels that the first of the columns may contain.

    Raises:
        UserError: If the first line looks like data; the message names the cell and the setting.
    """
    if not file.names or any(column in file.names for group in columns.values() for column in group):
        return
    rows = file.rows[:MAX_COMPARED_ROWS]
    names = [*file.names]
    if names in rows and all(math.isnan(parse_float(name)) for name in names):
        raise UserError(
            f"{file.path}, line {file.lines[rows.index(names)]}: the same as line {file.first_line}; remove it if line "
            f"{file.first_line} contains the column names, else {unnamed}"
        )
    kinds = [_classify_cell(name, rows, column) for column, name in enumerate(names)]
    label = next((group[0] for group in columns.values()), None)
    if isinstance(label, int) and -len(names) <= label < len(names):
        is_label = names[label].casefold() in {text.casefold() for text in labels}
        kinds[label] = "data" if is_label else kinds[label]
    if "data" in kinds and "name" not in kinds:
        cell = names[kinds.index("data")]
        raise UserError(
            f"{file.path}, line {file.first_line}: read as column names, but '{cell}' looks like data, as in the rows "
            f"below; {unnamed}{_suggest_column_name(names, columns)}"
        )


def _classify_cell(name: str, rows: Sequence[Sequence[str]], column: int) -> str:
    """Return `"data"` or `"name"`, or `""` if a cell of the first line may be both."""
    cells = {row[column] for row in rows if row[column].casefold() not in MISSING_VALUES}
    if not cells or name.casefold() in MISSING_VALUES:
        return ""
    numbers = sum(not math.isnan(parse_float(cell)) for cell in cells)
    is_numeric = 2 * numbers > len(cells)  # other cells may mark missing numbers
    if name in cells or (is_numeric and not math.isnan(parse_float(name))):
        return "data"
    return "name" if is_numeric else ""


def _suggest_column_name(names: Sequence[str], columns: Columns) -> str:
    """Return how to set the first of the columns by its name, if it is set by its index."""
    for key, (column, *_) in columns.items():
        if isinstance(column, int) and -len(names) <= column < len(names):
            return f"\n  if the line does contain the column names, set one by its name: '{key}=\"{names[column]}\"'"
        break
    return ""
