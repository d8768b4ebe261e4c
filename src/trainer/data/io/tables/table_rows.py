"""Rows of tables as text cells with their line numbers, from formats that are read line by line."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any, Literal

from trainer.core.errors import UserError
from trainer.data.io.compressed_file import EXCEL_SUFFIXES, open_content, strip_compression

MAX_CELL_BYTES = 2**31 - 1
DELIMITERS = (";", "\t", "|", ",")  # in the order of preference if several fit equally well
WHITESPACE = "whitespace"  # delimiter of files whose columns are aligned by blanks
NESTED = "\N{OBJECT REPLACEMENT CHARACTER}"  # cell of a list or object of JSON
JSON_LINES_SUFFIXES = (".jsonl", ".ndjson", ".json")
ARROW_SUFFIXES = (".parquet", ".pq", ".feather", ".arrow")
MEMORY_PATH = "rows in memory"  # path of a table that is no file, for messages
ALIGNED_CELL_PATTERN = re.compile(r'"(?:[^"]|"")*"(?!\S)|\S+')

# what a row of column names lacks, or has in addition, in comparison with all rows below it
NamesMismatch = Literal["", "no_first", "no_last", "extra_last"]

Row = tuple[int, list[str]]  # line on which a row ends, from 1, and its cells


@dataclass(frozen=True)
class Dialect:
    """Format of a table in its file.

    Args:
        delimiter: Delimiter of the cells, one character, or `WHITESPACE`.
        quote: Quotation mark of cells that contain delimiters.
        encoding: Encoding of the text.
        skipped_lines: Number of lines, or rows of a sheet, above the table: titles and comments.
        header: Whether the first line of the table contains the column names.
        sheet: Name of the sheet of an Excel file; "" is the first one.
        can_be_nested: Whether columns may contain lists and objects, if they are not read; else they are an error.
        names_mismatch: `"no_first"` if the row names of R have no column name; `"no_last"` and `"extra_last"` if only
            the rows, or only the column names, end with a delimiter.
    """

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    skipped_lines: int = 0
    header: bool = True
    sheet: str = ""
    can_be_nested: bool = False
    names_mismatch: NamesMismatch = ""


def is_excel(path: Path) -> bool:
    """Return whether a path is that of an Excel or OpenDocument file."""
    return path.name.lower().endswith(EXCEL_SUFFIXES)


def is_json(path: Path) -> bool:
    """Return whether a path is that of a file with one JSON object per line."""
    return strip_compression(path.name).endswith(JSON_LINES_SUFFIXES)


def is_arrow(path: Path) -> bool:
    """Return whether a path is that of a Parquet or Feather file."""
    return strip_compression(path.name).endswith(ARROW_SUFFIXES)


def find_unit(path: Path) -> str:
    """Return the unit of the positions of rows in messages: `"line"`, or `"row"` if a row is not one line."""
    is_line = not (is_excel(path) or is_arrow(path) or _is_json_document(path) or str(path) == MEMORY_PATH)
    return "line" if is_line else "row"


def _is_json_document(path: Path) -> bool:
    """Return whether a file may contain one JSON list of all rows instead of one object per line."""
    return strip_compression(path.name).endswith(".json")


def is_delimited(path: Path) -> bool:
    """Return whether a path is that of a text file with delimiters."""
    return not (is_excel(path) or is_json(path) or is_arrow(path))


def iter_rows(path: Path, dialect: Dialect) -> Iterator[Row]:
    """Yield the rows of a file, the column names first if it has them; skip rows without a filled cell.

    Raises:
        UserError: If the file cannot be read or parsed; the message names the line.
    """
    if is_excel(path):
        rows: Iterator[Row] = _iter_sheet(path, dialect.sheet, dialect.skipped_lines)
    elif is_json(path):
        rows = _iter_json(path, dialect.can_be_nested)
    else:
        rows = _iter_delimited(path, dialect)
    is_header = dialect.header
    for line, cells in rows:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield line, _complete_names(stripped, dialect.names_mismatch) if is_header else stripped
            is_header = False


def _complete_names(names: list[str], mismatch: NamesMismatch) -> list[str]:
    """Return as many column names as a row has cells."""
    if mismatch == "no_first":
        return ["", *names]
    return [*names, ""] if mismatch == "no_last" else names[:-1] if mismatch == "extra_last" else names


def split_aligned(line: str) -> list[str]:
    """Return the cells of a line whose columns are aligned by blanks; a cell with blanks is quoted."""
    if '"' not in line:
        return line.split()
    cells = ALIGNED_CELL_PATTERN.findall(line)
    return [cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell for cell in cells]


def open_text(stream: IO[bytes], encoding: str) -> IO[str]:
    """Return a stream of the decoded content of a binary stream, without a byte order mark."""
    return io.TextIOWrapper(stream, "utf-8-sig" if encoding == "utf-8" else encoding, newline="")


def explain_encoding(path: Path, encoding: str, error: UnicodeError) -> str:
    """Return the message for a file that is not in an encoding."""
    return f"{path}: not {encoding} text ({error}); set data.encoding, or save it in UTF-8"


def get_reader_options(delimiter: str, quote: str = '"') -> dict[str, Any]:
    """Return the options of `csv.reader`; cells may be quoted after blanks, as in `1, "a, b"`."""
    return {"delimiter": delimiter, "quotechar": quote, "skipinitialspace": delimiter != " "}


def _iter_delimited(path: Path, dialect: Dialect) -> Iterator[Row]:
    line = 0
    try:
        with open_content(path) as stream, open_text(stream, dialect.encoding) as text:
            csv.field_size_limit(MAX_CELL_BYTES)  # Python's default of 128 KiB is too small for long texts
            for _ in range(dialect.skipped_lines):
                next(text, "")
            if dialect.delimiter == WHITESPACE:
                for line, content in enumerate(text, dialect.skipped_lines + 1):
                    yield line, split_aligned(content)
                return
            reader = csv.reader(text, strict=True, **get_reader_options(dialect.delimiter, dialect.quote))
            while True:
                line = reader.line_num + dialect.skipped_lines + 1
                cells = next(reader, None)
                if cells is None:
                    return
                yield reader.line_num + dialect.skipped_lines, cells
    except UnicodeError as error:
        raise UserError(explain_encoding(path, dialect.encoding, error)) from error
    except csv.Error as error:
        raise UserError(f"{path}, line {line}: not CSV ({error})") from error


def _iter_sheet(path: Path, sheet: str, skipped: int) -> Iterator[Row]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
        if sheet and sheet not in book.sheet_names:
            raise UserError(f"data.sheet: {path} has no sheet '{sheet}', but: {', '.join(book.sheet_names)}")
        content = book.get_sheet_by_name(sheet) if sheet else book.get_sheet_by_index(0)
        rows = content.to_python(skip_empty_area=False)[skipped:]
    except (CalamineError, OSError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    width = max((len(row) for row in rows), default=0)
    first = next((column for column in range(width) if any(row[column] != "" for row in rows)), 0)
    for number, row in enumerate(rows, skipped + 1):
        yield number, [format_cell(cell) for cell in row[first:]]


def _iter_json(path: Path, can_be_nested: bool) -> Iterator[Row]:
    """Yield the keys of all objects, and then their values in the order of the keys."""
    names: dict[str, None] = {}
    records: list[tuple[int, Mapping[str, Any]]] = []
    for line, record in _iter_objects(path):
        _check_record(f"{path}, {find_unit(path)} {line}", record, can_be_nested)
        names |= dict.fromkeys(record)
        records.append((line, record))
    if names:
        yield 1, [*names]
    for line, record in records:
        yield line, [format_cell(record.get(name)) for name in names]


def _check_record(position: str, record: Any, can_be_nested: bool) -> None:
    """Raise an error if a record is no object of numbers, texts, booleans and nulls; also of others if allowed."""
    if not isinstance(record, dict):
        raise UserError(f'{position}: expected a JSON object like {{"name": 1}}')
    for name, value in record.items():
        if isinstance(value, dict | list):
            if can_be_nested:
                continue
            raise UserError(f"{position}, column '{name}': nested values cannot be read; flatten them")
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError as error:  # half of an escaped pair, such as "\ud83d"
            raise UserError(f"{position}, column {name!r}: {value!r} is not Unicode text ({error.reason})") from error


def _iter_objects(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield line and content of each object of a file with one per line, or with one list of all."""
    line = 0
    try:
        with open_content(path) as stream, open_text(stream, "utf-8") as text:
            lines: Iterable[str] = text
            if _is_json_document(path):
                content = text.read()
                if content.lstrip().startswith("["):
                    yield from enumerate(json.loads(content), 1)
                    return
                lines = io.StringIO(content, newline="")
            for line, content in enumerate(lines, 1):
                if content.strip():
                    yield line, json.loads(content)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error}); save it in UTF-8") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {line or error.lineno}: not JSON ({error.msg})") from error
    except ValueError as error:  # a number with thousands of digits
        position = f", line {line}" if line else ""
        raise UserError(f"{path}{position}: {str(error).partition(';')[0]}") from error


def format_cell(value: Any) -> str:
    """Return a typed cell as text, as it would be in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return NESTED
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)
