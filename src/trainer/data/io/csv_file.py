"""CSV files as rows of text cells, with their line numbers for error messages."""

import csv
import gzip
import math
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from unicodedata import digit
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.download import DataFile, fetch_file

DELIMITERS = (";", "\t", "|", ",")
MAX_CELL_BYTES = 2**31 - 1


@dataclass(frozen=True)
class CsvFile:
    """Content of a CSV file, or of a chunk of one.

    Args:
        path: Path of the file, for messages.
        names: Column names; empty if the file has no header.
        rows: Cells as text, stripped of blanks.
        lines: Line number (from 1) on which each row ends.
        first_line: Number of the first line that is not empty.
    """

    path: Path
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    first_line: int = 1

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.rows[0])

    def describe_column(self, column: int) -> str:
        """Return the name of a column, or its index if it has none, for messages."""
        name = self.names[column] if self.names else ""
        return f"column '{name}'" if name else f"column {column} (counted from 0)"

    def locate(self, row: int, column: int) -> str:
        """Return file, line and column of a cell, for messages."""
        return f"{self.path}, line {self.lines[row]}, {self.describe_column(column)}"

    def index(self, key: str, column: str | int) -> int:
        """Return the index of a column from its name or index; negative indices count from the end.

        Raises:
            UserError: If there is no such column, or several; the message starts with `key`.
        """
        if isinstance(column, int):
            if not -self.width <= column < self.width:
                raise UserError(f"{key}: {self.path} has {self.width} columns, 0 to {self.width - 1}; no {column}")
            return column % self.width
        if not self.names:
            raise UserError(
                f"{key}: {self.path} is read without column names, so there is no '{column}'; set an index from 0 to "
                f"{self.width - 1}, or data.header=true if its first line contains the names"
            )
        if self.names.count(column) != 1:
            reason = f"no column '{column}'{did_you_mean(column, self.names)}"
            if column in self.names:
                reason = f"several columns '{column}'; set the index of one, from 0"
            raise UserError(f"{key}: {self.path} has {reason}")
        return self.names.index(column)

    def name_or_index(self, column: int) -> str | int:
        """Return the name of a column, or its index if the name is not unique."""
        name = self.names[column] if self.names else ""
        return name if name and self.names.count(name) == 1 else column

    def is_row_index(self, column: int) -> bool:
        """Return whether a column has no name, unlike others, and counts the rows from 0 or 1."""
        if not self.names or self.names[column]:
            return False
        return any(self.cells(column) == [str(first + row) for row in range(len(self.rows))] for first in (0, 1))

    def cells(self, column: int) -> list[str]:
        """Return all cells of a column."""
        return [row[column] for row in self.rows]

    def numbers(self, columns: Sequence[int], missing: Iterable[str], hint: str = "") -> NDArray[np.float64]:
        """Return columns as numbers (rows, columns), with NaN for cells in `missing`; raise an error for other text.

        Args:
            columns: Indices of the columns.
            missing: Cells that mark a missing number.
            hint: Advice about an invalid cell. Defaults to the settings of a data set.
        """
        markers = set(missing)

        def parse(row: int, column: int) -> float:
            cell = self.rows[row][column]
            if cell in markers:
                return math.nan
            value = parse_float(cell)
            if math.isfinite(value):
                return value
            reason = "is missing" if cell == "" else f"has {cell!r}, expected a number"
            if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", cell, re.IGNORECASE):
                reason = f"has {cell!r}, which is out of the range of 64-bit floats"
            default = (
                f"add it to data.missing if it means a missing number, or leave out {self.describe_column(column)} "
                "by data.drop"
            )
            if self.lines[row] == self.first_line:
                default = f"if this line contains the column names, set data.header=true; else {default}"
            raise UserError(f"{self.locate(row, column)} {reason}; {hint or default}")

        table = [[parse(row, column) for column in columns] for row in range(len(self.rows))]
        return np.array(table, np.float64).reshape(len(self.rows), len(columns))


def parse_float(cell: str) -> float:
    """Return the number in a cell, NaN if it is none or underflows, infinity if it overflows."""
    try:
        value = math.nan if "_" in cell else float(cell)  # underscores are Python syntax, not CSV
    except ValueError:
        return math.nan
    mantissa = cell.lower().partition("e")[0]
    return math.nan if value == 0 and any(digit(character, 0) for character in mantissa) else value


def fetch_csv(
    path: str,
    root: Path,
    md5: str,
    mirrors: Sequence[str] = (),
    download: bool = True,
    checksum_hint: str = "data.md5=''",
) -> Path:
    """Return the path of a file; download it first if it is missing. See `fetch_file`.

    Args:
        path: Path relative to `root`, absolute path, or an http(s) URL that is downloaded to `root` once.
        root: The data root.
        md5: Checksum of the file, or `CHECKSUM FILE` as md5sum prints it, which is ignored if `path` names another
            file. `""` accepts any content, except from the network.
        mirrors: URLs of http or https directories with the file.
        download: Whether the file may be downloaded.
        checksum_hint: The setting that accepts a file with another checksum, for the error message.
    """
    md5, _, md5_file = md5.strip().partition(" ")
    md5_file = md5_file.strip(" *")  # md5sum prints an asterisk before the name in binary mode
    if md5_file and os.path.abspath(root / md5_file) != os.path.abspath(root / path):
        md5 = ""
    if not path.lower().startswith(("http://", "https://")):
        if md5:
            return fetch_file(DataFile(path, md5, checksum_hint=checksum_hint), root, mirrors, download)
        if (file := root / path).is_file():
            return file
        raise UserError(
            f"data.path: no file '{file}'\n  Put it there, set data.path to an absolute path, or set data.dir (or the "
            f"environment variable TRAINER_DATA_DIR) to a directory that contains {path}."
        )
    parent, _, name = path.rpartition("/")
    if not md5:
        raise UserError("data.md5: a download requires the MD5 of the file, as md5sum FILE prints it")
    if not name or urlsplit(path).query:
        raise UserError(f"data.path: '{path}' does not end in a file name; download it manually")
    file_spec = DataFile(unquote(name), md5, checksum_hint=checksum_hint)
    return fetch_file(file_spec, root, [parent, *mirrors], download)


def read_csv(path: Path, *, header: bool, delimiter: str) -> CsvFile:
    """Read a CSV file in UTF-8 (gzip if its name ends in .gz); skip lines without a filled cell.

    Raises:
        UserError: If the file is empty, cannot be parsed, or has rows of different widths.
    """
    [file] = read_csv_chunks(path, header=header, delimiter=delimiter)
    if file.width == 1:
        message = f"{path}, line {file.first_line}: only one column; is data.delimiter={delimiter!r} right?"
        raise UserError(message + _suggest_delimiter(file.first_line, file.names or file.rows[0]))
    return file


def read_csv_chunks(path: Path, *, header: bool, delimiter: str, rows: int | None = None) -> Iterator[CsvFile]:
    """Read a CSV file in chunks, so that it may be larger than the memory.

    Args:
        path: Path of the file; see `read_csv`.
        header: Whether the first line contains the column names.
        delimiter: Delimiter, one character.
        rows: Rows per chunk; the last chunk may be smaller. Defaults to all.
    """
    delimiter = delimiter.replace("\\t", "\t")  # as typed in a shell
    if len(delimiter) != 1:
        raise UserError(f"data.delimiter: {delimiter!r} is not one character")
    lines = _read_lines(path, delimiter)
    first_line, names = next(lines, (0, []))
    remaining = lines if header else chain([(first_line, names)] if names else [], lines)
    is_empty = True
    while chunk := list(islice(remaining, rows)):
        for line, cells in chunk:
            if len(cells) != len(names):
                message = f"{path}, line {line}: {len(cells)} cells, but line {first_line} has {len(names)}"
                raise UserError(message + _suggest_delimiter(first_line, names))
        is_empty = False
        line_numbers = [line for line, _ in chunk]
        yield CsvFile(path, tuple(names) if header else (), [cells for _, cells in chunk], line_numbers, first_line)
    if is_empty:
        raise UserError(f"{path}: no rows" + (" after the header" if names else ""))


def _suggest_delimiter(line: int, cells: Sequence[str]) -> str:
    """Return a remark for the error message if the only cell of a line contains another delimiter."""
    other = max(DELIMITERS, key=cells[0].count)
    return f" (line {line} has {cells[0].count(other)} of {other!r})" if len(cells) == 1 and other in cells[0] else ""


def _read_lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number (from 1) and cells of each line that is not empty."""
    try:
        open_text = gzip.open if path.name.endswith(".gz") else open
        with open_text(path, "rt", encoding="utf-8-sig", newline="") as stream:
            csv.field_size_limit(MAX_CELL_BYTES)  # Python's default of 128 KiB is too small for long texts
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield reader.line_num, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error}); save it in UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
