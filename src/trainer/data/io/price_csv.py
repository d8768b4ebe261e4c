"""CSV files of daily prices."""

import math
from datetime import date, datetime
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.number_format import parse_number
from trainer.data.io.table_file import TextTable


class Prices(NamedTuple):
    """Daily prices (days,) in float64 and their days, oldest first."""

    days: list[date]
    prices: Tensor


def parse_prices(
    file: TextTable, date_column: int | str, price_column: int | str, *, positive: bool, after: date | None = None
) -> Prices:
    """Return days and prices of a CSV file or of a chunk of one.

    Args:
        file: The file or chunk, with a header.
        date_column: Name or index (from 0) of the column with dates such as 2004-08-19; the time of day is ignored.
        price_column: Name or index of the column with prices.
        positive: Whether prices must be positive, as required by returns.
        after: Last day of the previous chunk; None for the first one.

    Raises:
        UserError: If a cell is invalid; the message names file, line and column.
    """
    date_index = file.index("data.date_column", date_column)
    price_index = file.index("data.price_column", price_column)
    days: list[date] = []
    for row, cell in enumerate(file.cells(date_index)):
        day = _parse_day(file, row, date_index, cell)
        previous = days[-1] if days else after
        if previous and day <= previous:
            reason = "the same day as" if day == previous else f"before {previous} in"
            line = f"line {file.find_line(row - 1)}" if days else "the previous line"
            raise UserError(
                f"{file.locate(row, date_index)}: {day} is {reason} {line}; expected each day once, the oldest first"
            )
        days.append(day)
    prices = [_parse_price(file, row, price_index, cell, positive) for row, cell in enumerate(file.cells(price_index))]
    return Prices(days, torch.tensor(prices, dtype=torch.float64))


def _parse_day(file: TextTable, row: int, column: int, cell: str) -> date:
    try:
        return datetime.fromisoformat(cell).date()
    except ValueError:
        raise UserError(f"{file.locate(row, column)}: '{cell}' is not a date like 2004-08-19") from None


def _parse_price(file: TextTable, row: int, column: int, cell: str, positive: bool) -> float:
    price = parse_number(cell)
    if not math.isfinite(price):
        raise UserError(f"{file.locate(row, column)}: '{cell}' is not a price; fix or remove the line")
    if positive and price <= 0:
        raise UserError(
            f"{file.locate(row, column)}: {cell} is not above 0, so it has no return; fix it or use "
            "data.quantity=prices"
        )
    return price
