"""Prices: reading a CSV of daily prices, and refusing it by file, line and column where it is not one."""

import math
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.csv_file import CsvFile, number_or_nan, read_csv
from trainer.data.io.csv_header import ADD_NAMES, check_header


class Prices(NamedTuple):
    """Daily prices, oldest first: the days, and the price of each: (days,) in float64."""

    days: list[date]
    prices: Tensor


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
    return prices_of(read_csv(path, header=True, delimiter=","), date_column, price_column, positive=positive)


def prices_of(
    file: CsvFile, date_column: int | str, price_column: int | str, *, positive: bool, after: date | None = None
) -> Prices:
    """The days and the prices of a file that has been read, or of a part of one.

    Args:
        file: Its rows.
        date_column: See `read_prices`.
        price_column: See `read_prices`.
        positive: See `read_prices`.
        after: The last day of the part before.

    Raises:
        UserError: See `read_prices`.
    """
    if after is None:
        check_header(file, {"data.price_column": [price_column], "data.date_column": [date_column]}, ADD_NAMES)
    when, what = file.index("data.date_column", date_column), file.index("data.price_column", price_column)
    days: list[date] = []
    for row, cell in enumerate(file.cells(when)):
        day = _day(file, row, when, cell)
        before = days[-1] if days else after
        if before and day <= before:
            fault = "the same day as" if day == before else f"before {before} in"
            advice = "each day must stand once, the oldest first"
            line = f"line {file.lines[row - 1]}" if days else "the line before"
            raise UserError(f"{file.where(row, when)}: {day} is {fault} {line}; {advice}")
        days.append(day)
    prices = [_price(file, row, what, cell, positive) for row, cell in enumerate(file.cells(what))]
    return Prices(days, torch.tensor(prices, dtype=torch.float64))


def _day(file: CsvFile, row: int, column: int, cell: str) -> date:
    try:
        return datetime.fromisoformat(cell).date()
    except ValueError:
        raise UserError(f"{file.where(row, column)}: '{cell}' is no date like 2004-08-19") from None


def _price(file: CsvFile, row: int, column: int, cell: str, positive: bool) -> float:
    price = number_or_nan(cell)
    if not math.isfinite(price):
        raise UserError(f"{file.where(row, column)}: '{cell}' is no price; mend or remove the line")
    if positive and price <= 0:
        raise UserError(
            f"{file.where(row, column)}: {cell} is not above 0, so it has no return; "
            "mend it or use data.quantity=prices"
        )
    return price
