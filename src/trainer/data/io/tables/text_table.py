"""Rows of a table as columns of text cells, with the position of each cell for error messages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.tables.arrow_blocks import iter_arrow_blocks
from trainer.data.io.tables.table_rows import MEMORY_PATH, NESTED, Dialect, find_unit, is_arrow, iter_rows

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class TextTable:
    """Rows of a table as text cells.

    Args:
        path: Path of the file, for messages.
        dialect: Format of the table.
        names: Column names; empty if the file has no header.
        columns: Cells of each column.
        first_row: Number of rows of the file before these, without the header.
        lines: Line on which each row ends, from 1; None if it is not known.
        numbers: Number of each row in the file, from 0; None if the rows are consecutive.
    """

    path: Path
    dialect: Dialect
    names: tuple[str, ...]
    columns: "list[pyarrow.Array]"
    first_row: int = 0
    lines: Sequence[int] | None = None
    numbers: Sequence[int] | None = None

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0])

    def describe_column(self, column: int) -> str:
        """Return the name of a column, or its index if it has none, for messages."""
        return describe_column(self.names, column)

    def locate(self, row: int, column: int | None = None) -> str:
        """Return file, line and column of a cell, for messages."""
        position = f"{self.path}, {find_unit(self.path)} {self.find_line(row)}"
        return position if column is None else f"{position}, {self.describe_column(column)}"

    def find_line(self, row: int) -> int:
        """Return the line on which a row ends, from 1; the file is read again if it is not known."""
        if self.lines is not None:
            return self.lines[row]
        number = self._number(row)
        if is_arrow(self.path):
            return number + 1
        rows = iter_rows(self.path, self.dialect)
        return next(line for line, _ in islice(rows, number + self.dialect.header, None))

    def locate_header(self) -> str:
        """Return file and line of the first row, which may contain the column names, for messages."""
        if is_arrow(self.path) or str(self.path) == MEMORY_PATH:
            return str(self.path)
        return f"{self.path}, line {next(iter_rows(self.path, self.dialect))[0]}"

    def find_cell(self, row: int, column: int) -> str:
        """Return a cell of a column that may not be in memory; the file is read again."""
        number = self._number(row)
        if not is_arrow(self.path):
            return next(islice(iter_rows(self.path, self.dialect), number + self.dialect.header, None))[1][column]
        blocks = iter_arrow_blocks(self.path, self.dialect.can_be_nested)
        cells = chain.from_iterable(block[column] for block in blocks)
        return str(next(islice(cells, number, None)))

    def is_first_row(self, row: int) -> bool:
        """Return whether a row is the first one of the file."""
        return self._number(row) == 0 and not self.names

    def _number(self, row: int) -> int:
        """Return the number of a row in the file, from 0."""
        return self.first_row + row if self.numbers is None else self.numbers[row]

    def use_first_row_as_names(self) -> "TextTable":
        """Return a table whose first row contains the column names, unless the file has stored them separately.

        Raises:
            UserError: If there are no other rows.
        """
        if self.names:
            return self
        if len(self) == 1:
            raise UserError(f"{self.path}: no rows after the header")
        return replace(
            self,
            dialect=replace(self.dialect, header=True),
            names=tuple(self.cell(0, column) for column in range(self.width)),
            columns=[column.slice(1) for column in self.columns],
            lines=None if self.lines is None else self.lines[1:],
        )

    def index(self, key: str, column: str | int) -> int:
        """Return the index of a column from its name or index; negative indices count from the end.

        Raises:
            UserError: If there is no such column, or several; the message starts with `key`.
        """
        return find_column(self.path, self.names, self.width, key, column)

    def name_or_index(self, column: int) -> str | int:
        """Return the name of a column, or its index if the name is not unique."""
        name = self.names[column] if self.names else ""
        return name if name and self.names.count(name) == 1 else column

    def column(self, column: int) -> Any:
        """Return the cells of a column as an array of pyarrow, without surrounding blanks."""
        from pyarrow import compute

        return compute.utf8_trim_whitespace(self.columns[column])

    def cells(self, column: int) -> list[str]:
        """Return the cells of a column.

        Raises:
            UserError: If a cell is a list or an object of JSON.
        """
        cells: list[str] = self.column(column).to_pylist()
        if self.dialect.can_be_nested and NESTED in cells:
            raise UserError(f"{self.locate(cells.index(NESTED), column)}: nested values cannot be read; flatten them")
        return cells

    def cell(self, row: int, column: int) -> str:
        """Return one cell."""
        return str(self.columns[column][row].as_py()).strip()

    def is_row_index(self, column: int) -> bool:
        """Return whether a column has no name, unlike others, and counts the rows from 0 or 1."""
        if not self.names or self.names[column]:
            return False
        return any(self.cells(column) == [str(first + row) for row in range(len(self))] for first in (0, 1))


def describe_column(names: Sequence[str], column: int) -> str:
    """Return the name of a column, or its index if it has none, for messages."""
    name = names[column] if names else ""
    return f"column '{name}'" if name else f"column {column} (counted from 0)"


def find_column(path: Path, names: Sequence[str], width: int, key: str, column: str | int) -> int:
    """Return the index of a column from its name or index; negative indices count from the end.

    Args:
        path: Path of the file, for messages.
        names: Column names; empty if the file has no header.
        width: Number of columns.
        key: Setting that names the column.
        column: Name or index.

    Raises:
        UserError: If there is no such column, or several; the message starts with `key`.
    """
    if isinstance(column, int):
        if not -width <= column < width:
            raise UserError(f"{key}: {path} has {width} columns, 0 to {width - 1}; no {column}")
        return column % width
    if not names:
        hint = f"set an index from 0 to {width - 1}, or data.header=true if its first line contains the names"
        raise UserError(f"{key}: {path} is read without column names, so there is no '{column}'; {hint}")
    if column not in names:
        raise UserError(f"{key}: {path} has no column '{column}'{did_you_mean(column, names)}")
    if names.count(column) > 1:
        raise UserError(f"{key}: {path} has several columns '{column}'; set the index of one, from 0")
    return names.index(column)
