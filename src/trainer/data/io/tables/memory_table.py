"""Tables in memory, such as data frames, as text cells like those of files."""

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.core.errors import UserError, first_line
from trainer.data.io.tables.arrow_blocks import to_text
from trainer.data.io.tables.table_rows import MEMORY_PATH, Dialect
from trainer.data.io.tables.text_table import TextTable

if TYPE_CHECKING:
    import pyarrow

EXPECTED_ROWS = "a data frame, dictionaries with the column names as keys, or a 2-D array"


def is_table(values: Any) -> bool:
    """Return whether a value is a data frame, a row as a dictionary, or a list of such rows."""
    first = values[0] if isinstance(values, Sequence) and len(values) else values
    return isinstance(first, Mapping) or hasattr(values, "columns")


def to_arrow(values: Any, names: Sequence[str] = ()) -> "pyarrow.Table":
    """Return rows in memory as a table of pyarrow.

    Args:
        values: A data frame of pandas, Polars or pyarrow, a row as a dictionary, a list of rows, or numbers (rows,
            columns).
        names: Names of the columns of numbers. Defaults to their indices.

    Raises:
        UserError: The values are no table, or a column has values of different types.
    """
    import pyarrow

    if isinstance(values, pyarrow.Table):
        return values
    try:
        if hasattr(values, "to_arrow"):  # Polars
            return values.to_arrow()
        if hasattr(values, "columns"):
            return pyarrow.Table.from_pandas(values)
        if is_table(values):
            rows = [values] if isinstance(values, Mapping) else values
            columns = dict.fromkeys(name for row in rows for name in row)
            return pyarrow.table({str(name): [row.get(name) for row in rows] for name in columns})
        array = np.asarray(values)
        if array.ndim == 2 and array.dtype.kind in "buif":
            return pyarrow.table({str(name): column for name, column in zip(names or count(), array.T, strict=False)})
    except (pyarrow.ArrowException, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"predict: cannot read the rows: {first_line(error)}; expected {EXPECTED_ROWS}") from None
    raise UserError(f"predict: cannot use rows of type {type(values).__name__}; expected {EXPECTED_ROWS}")


def make_text_table(table: "pyarrow.Table", *, has_names: bool = True) -> TextTable:
    """Return the rows of a table of pyarrow as text cells, without an index of pandas.

    Args:
        table: The table.
        has_names: Whether the columns have names.

    Raises:
        UserError: The table has no rows.
    """
    if not table.num_rows:
        raise UserError("predict: no rows")
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    columns = [to_text(Path(MEMORY_PATH), name, table[name].combine_chunks(), True) for name in names]
    lines = range(table.num_rows)
    return TextTable(Path(MEMORY_PATH), Dialect(can_be_nested=True), tuple(names) * has_names, columns, lines=lines)
