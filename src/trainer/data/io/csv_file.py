"""CSV files: read into rows of cells, all of one width, with the line in the file that each row ends on."""

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
from trainer.data.io.download import DataFile, find

DELIMITERS = (";", "\t", "|", ",")
CELL_BYTES = 2**31 - 1


@dataclass(frozen=True)
class CsvFile:
    """What stands in a CSV file.

    Args:
        path: The file, for messages.
        names: Of the columns; empty where the file does not name them.
        rows: Cells as text, without the blanks around them.
        lines: The line, counted from 1, that each row ends on.
        first: The file's first filled line.
    """

    path: Path
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    first: int = 1

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.rows[0])

    def place(self, column: int) -> str:
        """What a column is called in messages: by its name, or by its number from 0."""
        name = self.names[column] if self.names else ""
        return f"column '{name}'" if name else f"column {column} (counted from 0)"

    def where(self, row: int, column: int) -> str:
        """File, line and column of a cell, for messages."""
        return f"{self.path}, line {self.lines[row]}, {self.place(column)}"

    def index(self, key: str, column: str | int) -> int:
        """The number of a column that is given by name, or by number: from 0, or from the end where negative.

        Raises:
            UserError: There is no such column, or several; the message begins with `key`.
        """
        if isinstance(column, int):
            if not -self.width <= column < self.width:
                raise UserError(f"{key}: {self.path} has {self.width} columns, 0 to {self.width - 1}; no {column}")
            return column % self.width
        if not self.names:
            raise UserError(
                f"{key}: {self.path} is read without names of columns, so no '{column}'; give its number, from 0 to "
                f"{self.width - 1}, or data.header=true if its first line has the names"
            )
        if self.names.count(column) != 1:
            why = f"no column '{column}'{did_you_mean(column, self.names)}"
            if column in self.names:
                why = f"several columns '{column}'; give the number of one, from 0"
            raise UserError(f"{key}: {self.path} has {why}")
        return self.names.index(column)

    def name_or_index(self, column: int) -> str | int:
        """Return the name of a column, by which other files are read as well; its index if that is not unique."""
        name = self.names[column] if self.names else ""
        return name if name and self.names.count(name) == 1 else column

    def is_row_index(self, column: int) -> bool:
        """Return whether a column counts the rows from 0 or 1, and has no name where the others have one."""
        if not self.names or self.names[column]:
            return False
        return any(self.cells(column) == [str(first + row) for row in range(len(self.rows))] for first in (0, 1))

    def cells(self, column: int) -> list[str]:
        """All of a column."""
        return [row[column] for row in self.rows]

    def numbers(self, columns: Sequence[int], missing: Iterable[str], advice: str = "") -> NDArray[np.float64]:
        """Some columns as numbers (rows, columns), with NaN for cells that are in `missing`.

        Args:
            columns: Their numbers.
            missing: What stands for a missing number.
            advice: What to do about a cell that is none, where it is not by the settings of a data set.

        Raises:
            UserError: A cell is neither a number nor missing; says which.
        """
        absent = set(missing)

        def number(row: int, column: int) -> float:
            cell = self.rows[row][column]
            if cell in absent:
                return math.nan
            value = number_or_nan(cell)
            if math.isfinite(value):
                return value
            why = "is missing" if cell == "" else f"has {cell!r}, where a number belongs"
            if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", cell, re.IGNORECASE):
                why = f"has {cell!r}, which is out of the range of 64-bit floats"
            hint = f"write it into data.missing if it stands for a missing number, or leave out {self.place(column)} "
            if self.lines[row] == self.first:
                hint = "if this line names the columns, set data.header=true; else " + hint
            raise UserError(f"{self.where(row, column)} {why}; {advice or hint + 'by data.drop'}")

        table = [[number(row, column) for column in columns] for row in range(len(self.rows))]
        return np.array(table, np.float64).reshape(len(self.rows), len(columns))


def number_or_nan(cell: str) -> float:
    """Return the number in a cell, or NaN; one that is too large for a 64-bit float is infinite, one too small NaN."""
    try:
        value = math.nan if "_" in cell else float(cell)  # Python's own spelling of thousands is not CSV's
    except ValueError:
        return math.nan
    mantissa = cell.lower().partition("e")[0]
    return math.nan if value == 0 and any(digit(character, 0) for character in mantissa) else value


def find_csv(
    path: str,
    root: Path,
    md5: str,
    mirrors: Sequence[str] = (),
    download: bool = True,
    other: str = "data.md5=''",
) -> Path:
    """Return the path of a file; download it first if it is missing.

    Args:
        path: Path below `root`, an absolute path, or an http(s) URL that is downloaded into `root` once.
        root: The data root.
        md5: Checksum of the file, or `CHECKSUM FILE` as md5sum prints it: the checksum of this one file, which is not
            applied if `path` names another one. `""` accepts any content, except from the network.
        mirrors: http or https folders which have the file.
        download: Whether the file may be downloaded.
        other: The setting that reads a file with another checksum, for the error message.

    Raises:
        UserError: The file is missing, has another checksum, or cannot be downloaded.
    """
    md5, _, checked = md5.strip().partition(" ")
    checked = checked.strip(" *")  # md5sum prints an asterisk before the name in binary mode
    if checked and os.path.abspath(root / checked) != os.path.abspath(root / path):
        md5 = ""
    if not path.lower().startswith(("http://", "https://")):
        if md5:
            return find(DataFile(path, md5, other=other), root, mirrors, download)
        if (file := root / path).is_file():
            return file
        raise UserError(
            f"data.path: no file '{file}'\n  Put it there, give data.path in full, or point data.dir (or the "
            f"environment variable TRAINER_DATA_DIR) at a folder which has {path}."
        )
    folder, _, name = path.rpartition("/")
    if not md5:
        raise UserError("data.md5: a file from the network is taken only if its MD5 is right; give it: md5sum FILE")
    if not name or urlsplit(path).query:
        raise UserError(f"data.path: '{path}' does not end in the name of a file; fetch it by hand")
    return find(DataFile(unquote(name), md5, other=other), root, [folder, *mirrors], download)


def read_csv(path: Path, *, header: bool, delimiter: str) -> CsvFile:
    """Read a CSV file in UTF-8, packed where its name ends in .gz; lines without a single filled cell are passed over.

    Raises:
        UserError: It is empty, its rows have different widths, or it is no such file; says the line.
    """
    [file] = csv_parts(path, header=header, delimiter=delimiter)
    if file.width == 1:
        wrong = f"{path}, line {file.first}: only one column; is data.delimiter={delimiter!r} right?"
        raise UserError(wrong + _other_delimiter(file.first, file.names or file.rows[0]))
    return file


def csv_parts(path: Path, *, header: bool, delimiter: str, rows: int | None = None) -> Iterator[CsvFile]:
    """Read a CSV file in parts of so many rows, the last of which may have fewer: it may be larger than the memory.

    Args:
        path: In UTF-8, packed where its name ends in .gz; lines without a single filled cell are passed over.
        header: Whether the first line names the columns.
        delimiter: One character.
        rows: In each part; None reads all of them into one.

    Raises:
        UserError: See `read_csv`.
    """
    delimiter = delimiter.replace("\\t", "\t")  # as one types it in a shell
    if len(delimiter) != 1:
        raise UserError(f"data.delimiter: {delimiter!r} is not one character")
    lines = _lines(path, delimiter)
    first, names = next(lines, (0, []))
    ahead = lines if header else chain([(first, names)] if names else [], lines)
    empty = True
    while part := list(islice(ahead, rows)):
        for line, cells in part:
            if len(cells) != len(names):
                wrong = f"{path}, line {line}: {len(cells)} cells, but line {first} has {len(names)}"
                raise UserError(wrong + _other_delimiter(first, names))
        empty = False
        yield CsvFile(path, tuple(names) if header else (), [row for _, row in part], [line for line, _ in part], first)
    if empty:
        raise UserError(f"{path}: it has no rows" + (" after the line of names" if names else ""))


def _other_delimiter(line: int, cells: Sequence[str]) -> str:
    """Return what to add to an error if the only cell of a line contains delimiters of another kind."""
    other = max(DELIMITERS, key=cells[0].count)
    return f" (line {line} has {cells[0].count(other)} of {other!r})" if len(cells) == 1 and other in cells[0] else ""


def _lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The filled lines: the number of each, from 1, and its cells."""
    try:
        opened = gzip.open if path.name.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            csv.field_size_limit(CELL_BYTES)  # Python's default of 128 KiB is too small for long texts
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield reader.line_num, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not text in UTF-8 ({error}); save it as such") from error
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
