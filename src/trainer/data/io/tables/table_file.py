"""Reading of tables in files of many formats, completely or in blocks of rows."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from trainer.core.errors import UserError
from trainer.data.io.compressed_file import COMPRESSION_SUFFIXES, EXCEL_SUFFIXES
from trainer.data.io.tables.arrow_blocks import (
    Columns,
    NeedsStrictReader,
    iter_arrow_blocks,
    iter_csv_blocks,
    read_arrow_names,
)
from trainer.data.io.tables.table_rows import (
    ARROW_SUFFIXES,
    DELIMITERS,
    JSON_LINES_SUFFIXES,
    WHITESPACE,
    Dialect,
    Row,
    is_arrow,
    is_delimited,
    iter_rows,
)
from trainer.data.io.tables.text_table import TextTable

BLOCK_ROWS = 10_000  # of formats that are read row by row
TEXT_SUFFIXES = (".csv", ".tsv", ".psv", ".tab", *JSON_LINES_SUFFIXES)
TABLE_SUFFIXES = (
    *TEXT_SUFFIXES,
    *(suffix + compression for suffix in TEXT_SUFFIXES for compression in COMPRESSION_SUFFIXES),
    *EXCEL_SUFFIXES,
    *ARROW_SUFFIXES,
)


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


def locate_header(path: Path, dialect: Dialect) -> str:
    """Return file and line of the first row, which may contain the column names, for messages."""
    return str(path) if is_arrow(path) else f"{path}, line {next(iter_rows(path, dialect), (1, []))[0]}"


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
        dialect: Format of the table.
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
        for columns in iter_arrow_blocks(path, dialect.can_be_nested):
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
    other = max(DELIMITERS, key=cells[0].count)
    return f" (line {line} has {cells[0].count(other)} of {other!r})" if other in cells[0] else ""
