"""Tables in files of many formats, as columns of text cells with their position for error messages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.arrow_blocks import (
    ARROW_SUFFIXES,
    Columns,
    NeedsStrictReader,
    is_arrow,
    iter_arrow_blocks,
    iter_csv_blocks,
    read_arrow_names,
)
from trainer.data.io.compressed_file import COMPRESSION_SUFFIXES, EXCEL_SUFFIXES
from trainer.data.io.table_rows import JSON_LINES_SUFFIXES, WHITESPACE, Dialect, Row, is_delimited, is_excel, iter_rows

if TYPE_CHECKING:
    import pyarrow

BLOCK_ROWS = 10_000  # of formats that are read row by row
TEXT_SUFFIXES = (".csv", ".tsv", ".psv", ".tab", *JSON_LINES_SUFFIXES)
TABLE_SUFFIXES = (
    *TEXT_SUFFIXES,
    *(suffix + compression for suffix in TEXT_SUFFIXES for compression in COMPRESSION_SUFFIXES),
    *EXCEL_SUFFIXES,
    *ARROW_SUFFIXES,
)


@dataclass(frozen=True)
class TextTable:
    """Rows of a table as text cells.

    Args:
        path: Path of the file, for messages.
        dialect: How the table is stored in its file.
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
        unit = "row" if is_arrow(self.path) or is_excel(self.path) else "line"
        position = f"{self.path}, {unit} {self.find_line(row)}"
        return position if column is None else f"{position}, {self.describe_column(column)}"

    def find_line(self, row: int) -> int:
        """Return the line on which a row ends, from 1; the file is read again if it is not known."""
        if self.lines is not None:
            return self.lines[row]
        number = self.first_row + row if self.numbers is None else self.numbers[row]
        if is_arrow(self.path):
            return number + 1
        rows = iter_rows(self.path, self.dialect)
        return next(line for line, _ in islice(rows, number + self.dialect.header, None))

    def is_first_row(self, row: int) -> bool:
        """Return whether a row is the first one of the file."""
        return self.first_row + row == 0 and not self.names

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
        """Return the cells of a column."""
        cells: list[str] = self.column(column).to_pylist()
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
        raise UserError(
            f"{key}: {path} is read without column names, so there is no '{column}'; set an index from 0 to "
            f"{width - 1}, or data.header=true if its first line contains the names"
        )
    if names.count(column) != 1:
        reason = f"no column '{column}'{did_you_mean(column, names)}"
        if column in names:
            reason = f"several columns '{column}'; set the index of one, from 0"
        raise UserError(f"{key}: {path} has {reason}")
    return names.index(column)


def read_names(path: Path, dialect: Dialect) -> tuple[tuple[str, ...], int]:
    """Return the column names of a file, empty if it has no header, and the number of columns.

    Raises:
        UserError: If the file is empty or cannot be read.
    """
    if is_arrow(path):
        names = read_arrow_names(path)
        return tuple(names), len(names)
    _, cells = next(iter_rows(path, dialect), (0, []))
    if not cells:
        raise UserError(f"{path}: no rows")
    return tuple(cells) if dialect.header else (), len(cells)


def read_table(path: Path, dialect: Dialect) -> TextTable:
    """Read a whole file.

    Raises:
        UserError: If the file is empty, cannot be parsed, has one column, or has rows of different widths.
    """
    import pyarrow

    blocks = [*iter_tables(path, dialect)]
    first = blocks[0]
    if len(blocks) == 1:
        return first
    columns = [pyarrow.concat_arrays(parts) for parts in zip(*(block.columns for block in blocks), strict=True)]
    return TextTable(path, dialect, first.names, columns)


def iter_tables(path: Path, dialect: Dialect, *, rows: int | None = None) -> Iterator[TextTable]:
    """Read a file in blocks of rows, so that it may be larger than the memory.

    Args:
        path: Path of the file.
        dialect: How the table is stored in the file.
        rows: Maximum number of rows of a block, whose lines are then known. Defaults to what is fastest.

    Raises:
        UserError: If the file has no rows, cannot be parsed, or has rows of different widths.
    """
    names, width = read_names(path, dialect)
    count = 0
    for table in _iter_blocks(path, dialect, names, width, rows):
        count += len(table)
        if len(table):
            yield table
    if not count:
        raise UserError(f"{path}: no rows" + (" after the header" if names else ""))


def _iter_blocks(
    path: Path, dialect: Dialect, names: tuple[str, ...], width: int, rows: int | None
) -> Iterator[TextTable]:
    count = 0
    if is_arrow(path):
        for columns in iter_arrow_blocks(path):
            for part in _split_rows(columns, rows):
                yield TextTable(path, dialect, names, part, count)
                count += len(part[0])
        return
    try:
        if rows or not is_delimited(path) or dialect.delimiter == WHITESPACE:
            raise NeedsStrictReader
        for columns in iter_csv_blocks(path, dialect, width):
            start = 1 if names and not count else 0  # the header
            yield TextTable(
                path, dialect, names, [column.slice(start) for column in columns], max(0, count - bool(names))
            )
            count += len(columns[0])
    except NeedsStrictReader:
        done = max(0, count - bool(names))
        yield from _iter_strict_blocks(path, dialect, names, done, rows or BLOCK_ROWS)


def _split_rows(columns: Columns, rows: int | None) -> Iterator[Columns]:
    size = rows or max(1, len(columns[0]))
    for start in range(0, len(columns[0]), size):
        yield [column.slice(start, size) for column in columns]


def _iter_strict_blocks(
    path: Path, dialect: Dialect, names: tuple[str, ...], done: int, rows: int
) -> Iterator[TextTable]:
    """Read a file row by row, after `done` rows."""
    import pyarrow

    remaining = iter_rows(path, dialect)
    first = next(remaining)
    if not names:
        remaining = chain([first], remaining)
    first_row = done
    remaining = islice(_check_widths(path, remaining, first), done, None)
    while block := [*islice(remaining, rows)]:
        columns = [pyarrow.array(cells, pyarrow.string()) for cells in zip(*(cells for _, cells in block), strict=True)]
        yield TextTable(path, dialect, names, columns, first_row, [line for line, _ in block])
        first_row += len(block)


def _check_widths(path: Path, rows: Iterator[Row], first: Row) -> Iterator[Row]:
    """Yield the rows; raise an error if one has another number of cells than the first row of the file."""
    first_line, names = first
    for line, cells in rows:
        if len(cells) != len(names):
            message = f"{path}, line {line}: {len(cells)} cells, but line {first_line} has {len(names)}"
            raise UserError(message + suggest_delimiter(first_line, names))
        yield line, cells


def suggest_delimiter(line: int, cells: Sequence[str]) -> str:
    """Return a remark for the error message if the only cell of a line contains another delimiter."""
    if len(cells) != 1:
        return ""
    other = max((";", "\t", "|", ","), key=cells[0].count)
    return f" (line {line} has {cells[0].count(other)} of {other!r})" if other in cells[0] else ""
