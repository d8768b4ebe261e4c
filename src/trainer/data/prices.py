"""Prices: reading a CSV of daily prices, and refusing it by file, line and column where it is not one."""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.data.files import md5_of
from trainer.errors import UserError, did_you_mean


class Prices(NamedTuple):
    """Daily prices, oldest first: the days, and the price of each: (days,) in float64."""

    days: list[date]
    prices: Tensor


class Column(NamedTuple):
    """A column of a file: where it stands and how a message calls it."""

    place: int
    label: str

    def text(self, row: list[str], path: Path, line: int) -> str:
        """What a row has in this column."""
        if self.place >= len(row):
            raise UserError(f"{path}, line {line}: it ends before {self.label}")
        return row[self.place].strip()


def find_file(root: Path, path: str, md5: str | None) -> Path:
    """The file of a data set that nobody can fetch for the user.

    Raises:
        UserError: It is not there, or its MD5 is another one.
    """
    file = root / path
    if not file.is_file():
        raise UserError(
            f"{file} is missing. Put the file there, or point data.dir (or the environment variable "
            f"TRAINER_DATA_DIR) at a folder which has {path}, or say which file with data.path."
        )
    if md5 and (found := md5_of(file)) != md5:
        raise UserError(
            f"data.checksum: the MD5 of {file} is {found}, expected {md5}; "
            "bring the right file, or set data.checksum=null to take this one"
        )
    return file


def read_prices(path: Path, date_column: int | str, price_column: int | str, *, positive: bool) -> Prices:
    """Read the days and the prices of a CSV file with a header; a name ending in .gz is unpacked.

    Args:
        path: The file.
        date_column: Its name in the header, or its index from 0; dates as 2004-08-19, a time of day is cut off.
        price_column: Its name or index.
        positive: Whether a price of 0 or below is refused: returns have no meaning for it.

    Raises:
        UserError: Names the file, the line and the column that is at fault.
    """
    rows = _rows(path)
    header = next(rows, (0, []))[1]
    when, what = (_column(path, header, *key) for key in (("date", date_column), ("price", price_column)))
    days: list[date] = []
    prices: list[float] = []
    above = 0
    for line, row in rows:
        day = _day(when, row, path, line)
        if days and day <= days[-1]:
            fault = "the same day as" if day == days[-1] else f"before {days[-1]} in"
            advice = "each day must stand once, the oldest first"
            raise UserError(f"{path}, line {line}, {when.label}: {day} is {fault} line {above}; {advice}")
        days.append(day)
        prices.append(_price(what, row, path, line, positive))
        above = line
    return Prices(days, torch.tensor(prices, dtype=torch.float64))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of its line."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as {'gzipped ' * (path.suffix == '.gz')}text ({error})") from error
    reader = csv.reader(StringIO(text, newline=""))
    try:
        yield from ((reader.line_num, row) for row in reader if any(map(str.strip, row)))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from error


def _column(path: Path, header: list[str], role: str, key: int | str) -> Column:
    """Find a column by its name in the header, or by its index."""
    names = [name.strip() for name in header]
    if isinstance(key, str) and key in names:
        return Column(names.index(key), f"column '{key}'")
    if isinstance(key, int) and 0 <= key < len(names):
        return Column(key, f"column '{names[key]}'" if names[key] else f"column {key}")
    shown = f"'{key}'" if isinstance(key, str) else f"{key}, there are {len(names)} (from 0)"
    near = did_you_mean(str(key), [name for name in names if name])
    raise UserError(f"data.{role}_column: {path}, line 1 has no column {shown}{near}")


def _day(column: Column, row: list[str], path: Path, line: int) -> date:
    text = column.text(row, path, line)
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise UserError(f"{path}, line {line}, {column.label}: '{text}' is no date like 2004-08-19") from None


def _price(column: Column, row: list[str], path: Path, line: int, positive: bool) -> float:
    text = column.text(row, path, line)
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    where = f"{path}, line {line}, {column.label}"
    if not math.isfinite(price):
        raise UserError(f"{where}: '{text}' is no price; mend or remove the line")
    if positive and price <= 0:
        raise UserError(f"{where}: {text} is not above 0, so it has no return; mend it or use data.quantity=prices")
    return price
