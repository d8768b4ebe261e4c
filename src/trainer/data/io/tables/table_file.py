"""Reading of tables in files of many formats, completely or in blocks of rows."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from trainer.core.errors import UserError
from trainer.data.io.compressed_file import COMPRESSION_SUFFIXES, EXCEL_SUFFIXES
from trainer.data.io.tables.arrow_blocks import (
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


def read_table(path: Path, dialect: Dialect, *, with_lines: bool = False) -> TextTable:
    """Read a whole file.

    Args:
        path: Path of the file.
        dialect: Format of the table.
        with_lines: Whether the lines of all rows are needed, which are otherwise found when they are asked for.

    Raises:
        UserError: If the file is empty, cannot be parsed, has one column, or has rows of different widths.
    """
    import pyarrow

    blocks = [*iter_tables(path, dialect, rows=BLOCK_ROWS if with_lines else None)]
    first = blocks[0]
    if len(blocks) == 1:
        return first
    columns = [pyarrow.concat_arrays(parts) for parts in zip(*(block.columns for block in blocks), strict=True)]
    lines = None
    if first.lines is not None:
        lines = [block.find_line(row) for block in blocks for row in range(len(block))]
    return TextTable(path, dialect, first.names, columns, lines=lines)


def iter_tables(path: Path, dialect: Dialect, *, rows: int | None = None) -> Iterator[TextTable]:
    """Read a file in blocks of rows, so that it may be larger than the memory.

    Args:
        path: Path of the file.
        dialect: Format of the table.
        rows: Maximum number of rows of a block, whose lines are then known. Defaults to what is fastest.

    Raises:
        UserError: If the file has no rows, cannot be parsed, or has rows of different widths.
    """
    count = 0
    for table in _iter_blocks(path, dialect, rows):
        count += len(table)
        if len(table):
            yield table
    if not count:
        raise UserError(f"{path}: no rows" + (" after the header" if dialect.header else ""))


def _iter_blocks(path: Path, dialect: Dialect, rows: int | None) -> Iterator[TextTable]:
    if is_arrow(path):
        yield from _iter_arrow_tables(path, dialect, rows)
        return
    count = 0
    try:
        if rows or not is_delimited(path) or dialect.delimiter == WHITESPACE:
            raise NeedsStrictReader
        _, names = next(iter_rows(path, dialect), (0, []))
        for columns in iter_csv_blocks(path, dialect, len(names)):
            is_header = dialect.header and not count
            part = [column.slice(int(is_header)) for column in columns]
            yield TextTable(path, dialect, _get_names(dialect, names), part, max(0, count - dialect.header))
            count += len(columns[0])
    except NeedsStrictReader:
        yield from _iter_strict_tables(path, dialect, max(0, count - dialect.header), rows or BLOCK_ROWS)


def _get_names(dialect: Dialect, first_row: Sequence[str]) -> tuple[str, ...]:
    """Return the column names, which the first row contains if the file has any."""
    return tuple(first_row) if dialect.header else ()


def _iter_arrow_tables(path: Path, dialect: Dialect, rows: int | None) -> Iterator[TextTable]:
    names = tuple(read_arrow_names(path))
    count = 0
    for columns in iter_arrow_blocks(path, dialect.can_be_nested):
        size = rows or max(1, len(columns[0]))
        for start in range(0, len(columns[0]), size):
            yield TextTable(path, dialect, names, [column.slice(start, size) for column in columns], count + start)
        count += len(columns[0])


def _iter_strict_tables(path: Path, dialect: Dialect, done: int, rows: int) -> Iterator[TextTable]:
    """Read a file row by row, after `done` rows."""
    import pyarrow

    remaining = iter_rows(path, dialect)
    first = next(remaining, (0, []))
    names = _get_names(dialect, first[1])
    if not dialect.header and first[1]:
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
