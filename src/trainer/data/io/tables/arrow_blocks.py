"""Tables read by pyarrow, in blocks of columns of text cells.

pyarrow reads a CSV file several times as fast as Python, but does not report lines, and accepts wrong quotes. If it
rejects a file, or a quote may be wrong, `NeedsStrictReader` is raised, and the file is read row by row instead.
"""

import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.core.errors import UserError
from trainer.data.io.compressed_file import open_content, strip_compression
from trainer.data.io.tables.table_rows import NESTED, Dialect
from trainer.data.io.text_encoding import iter_utf8

if TYPE_CHECKING:
    import pyarrow

BLOCK_BYTES = 2**20  # larger blocks are not faster, and need more memory

Columns = list["pyarrow.Array"]  # text cells of each column


class NeedsStrictReader(Exception):  # noqa: N818  no error: another reader is used
    """The file has to be read row by row."""


def iter_csv_blocks(path: Path, dialect: Dialect, width: int) -> Iterator[Columns]:
    """Yield the rows of a CSV file, the column names first if it has them, without rows that are empty.

    Args:
        path: The file.
        dialect: Format of the table.
        width: Number of columns.

    Raises:
        NeedsStrictReader: If a row has another number of cells, or the content may be invalid.
    """
    from pyarrow import ArrowInvalid, csv, string

    if not dialect.delimiter.isascii():
        raise NeedsStrictReader
    names = [f"f{index}" for index in range(width)]
    with open_content(path) as stream:
        checked: Any = _CheckedStream(stream, dialect)
        try:
            for batch in csv.open_csv(
                checked,
                csv.ReadOptions(
                    use_threads=False,
                    block_size=BLOCK_BYTES,
                    skip_rows=dialect.skipped_lines,
                    column_names=names,
                ),
                csv.ParseOptions(delimiter=dialect.delimiter, quote_char=dialect.quote, newlines_in_values=True),
                csv.ConvertOptions(column_types=dict.fromkeys(names, string()), strings_can_be_null=False),
            ):
                if batch.num_rows:
                    yield _drop_empty_rows(batch.columns)
        except (ArrowInvalid, UnicodeError):
            raise NeedsStrictReader from None


class _CheckedStream(io.RawIOBase):
    """Content of a CSV file in UTF-8, whose quotes are only around cells, or doubled inside quoted ones.

    pyarrow reads other quotes differently than Python.
    """

    def __init__(self, stream: Any, dialect: Dialect) -> None:
        self._quote = ord(dialect.quote)
        self._is_edge = np.zeros(256, bool)  # bytes beside the quotes of a cell
        self._is_edge[[*f"{dialect.quote}{dialect.delimiter}\r\n".encode()]] = True
        self._chunks = chain(iter_utf8(stream, dialect.encoding), iter([b"\n"]))
        self._buffer = b""
        self._tail = b"\n"
        self._quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._buffer) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._check(chunk)
            self._buffer += chunk
        end = len(self._buffer) if size < 0 else size
        result, self._buffer = self._buffer[:end], self._buffer[end:]
        if not result and self._quotes % 2:
            raise NeedsStrictReader  # the last quoted cell does not end
        return result

    def _check(self, chunk: bytes) -> None:
        """Raise an error if the first of two quotes is not at the start of a cell, or the second one not at its end."""
        content = np.frombuffer(self._tail + chunk, np.uint8)
        quotes = 1 + np.flatnonzero(content[1:-1] == self._quote)  # the last byte is checked with the next chunk
        is_second = (self._quotes + np.arange(len(quotes))) % 2 == 1
        neighbors = content[np.where(is_second, quotes + 1, quotes - 1)]
        if not self._is_edge[neighbors].all():
            raise NeedsStrictReader
        self._quotes += len(quotes)
        self._tail = content[-2:].tobytes()


def _drop_empty_rows(columns: Columns) -> Columns:
    """Return the rows with a cell that is not blank."""
    from pyarrow import compute

    first = compute.equal(compute.utf8_trim_whitespace(columns[0]), "")
    if not compute.any(first).as_py():
        return columns
    is_empty = first
    for column in columns[1:]:
        is_empty = compute.and_(is_empty, compute.equal(compute.utf8_trim_whitespace(column), ""))
    return [column.filter(compute.invert(is_empty)) for column in columns] if compute.any(is_empty).as_py() else columns


def read_arrow_names(path: Path) -> list[str]:
    """Return the column names of a Parquet or Feather file."""
    return [*_open_arrow(path)[0].names]


def iter_arrow_blocks(path: Path, can_be_nested: bool = False) -> Iterator[Columns]:
    """Yield the rows of a Parquet or Feather file as text cells; missing values are empty cells.

    Args:
        path: The file.
        can_be_nested: Whether nested values and bytes are cells that cannot be read; else they are an error.

    Raises:
        UserError: If the file cannot be read, or a column contains lists or other nested values.
    """
    _, batches = _open_arrow(path)
    for batch in batches:
        columns = zip(batch.schema.names, batch.columns, strict=True)
        yield [to_text(path, name, column, can_be_nested) for name, column in columns]


def _open_arrow(path: Path) -> tuple[Any, Iterator[Any]]:
    """Return the schema of a file and an iterator over its record batches."""
    import pyarrow

    try:
        if strip_compression(path.name).endswith((".parquet", ".pq")):
            from pyarrow import parquet

            file = parquet.ParquetFile(path)
            return file.schema_arrow, file.iter_batches()
        from pyarrow import feather

        table = feather.read_table(path, memory_map=True)
        return table.schema, iter(table.to_batches())
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def to_text(path: Path, name: str, column: Any, can_be_nested: bool) -> Any:
    """Return the values of a column as text cells; see `iter_arrow_blocks`.

    Args:
        path: Path of the table, for messages.
        name: Name of the column, for messages.
        column: Array of pyarrow.
        can_be_nested: See `iter_arrow_blocks`.
    """
    import pyarrow
    from pyarrow import compute, types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_nested(column.type) or types.is_binary(column.type):
        if can_be_nested:
            return pyarrow.array([NESTED] * len(column))
        raise UserError(f"{path}, column '{name}': {column.type} values cannot be read; remove it from the file")
    if types.is_floating(column.type):  # whole numbers without ".0", as class labels have none
        column = compute.if_else(compute.is_nan(column), None, column)
        text = compute.replace_substring_regex(column.cast(pyarrow.string()), r"^(-?\d+)\.0$", r"\1")
    else:
        text = column.cast(pyarrow.string())
    return compute.fill_null(text, "")
