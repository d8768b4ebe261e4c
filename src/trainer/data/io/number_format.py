"""Numbers in text cells: decimal commas, thousands separators, currencies, percents, and digits of other scripts."""

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THOUSANDS_BLANKS = "\u00a0\u202f\u2009 "  # no-break, narrow no-break and thin spaces
INVISIBLE_CHARACTERS = str.maketrans("", "", "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
MINUS_SIGNS = str.maketrans("\u2212\u2013\uff0d", "---")
NUMBER_PATTERN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
AFFIX_PATTERN = re.compile(r"[$€£¥₹₩₽฿]|%|USD|EUR|GBP|CNY|JPY|CHF", re.IGNORECASE)
GROUPED_PATTERNS = {  # thousands separator and decimal point
    (",", "."): re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?"),
    (".", ","): re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?"),
    (" ", "."): re.compile(r"[+-]?\d{1,3}( \d{3})+(\.\d*)?"),
    (" ", ","): re.compile(r"[+-]?\d{1,3}( \d{3})+(,\d*)?"),
    ("'", "."): re.compile(r"[+-]?\d{1,3}('\d{3})+(\.\d*)?"),
}
DECIMAL_COMMA_PATTERN = re.compile(r"[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written.

    Args:
        decimal: Decimal point, `"."` or `","`.
        thousands: Separator of thousands: `","`, `"."`, `" "`, `"'"`, or `""` if there is none.
    """

    decimal: str = "."
    thousands: str = ""


def normalize_number(cell: str) -> str:
    """Return a cell with ASCII digits and signs, without currency, percent sign and invisible characters."""
    text = unicodedata.normalize("NFKC", cell.translate(INVISIBLE_CHARACTERS)).translate(MINUS_SIGNS)
    text = AFFIX_PATTERN.sub("", text, count=1).strip()
    if text.startswith("(") and text.endswith(")"):  # a negative number in accounting
        text = f"-{text[1:-1]}"
    return "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in text)


def find_number_formats(cell: str) -> set[NumberFormat]:
    """Return the formats in which a cell is a number; empty if it is none.

    `1,234` has two: 1234 with thousands separators, and 1.234 with a decimal comma.
    """
    text = normalize_number(cell)
    formats = {
        NumberFormat(decimal, thousands)
        for (thousands, decimal), pattern in GROUPED_PATTERNS.items()
        if pattern.fullmatch(text)
    }
    if NUMBER_PATTERN.fullmatch(text):
        formats.add(NumberFormat())
        if "." not in text:
            formats.add(NumberFormat(","))
    if DECIMAL_COMMA_PATTERN.fullmatch(text):
        formats.add(NumberFormat(","))
    return formats


def parse_number(cell: str, number_format: NumberFormat = NumberFormat()) -> float:
    """Return the number in a cell: NaN if it is none or underflows, infinity if it overflows."""
    text = normalize_number(cell)
    if number_format.thousands:
        grouped = GROUPED_PATTERNS[number_format.thousands, number_format.decimal]
        if grouped.fullmatch(text):
            text = text.replace(number_format.thousands, "")
    if number_format.decimal == ",":
        if "." in text:
            return math.nan
        text = text.replace(",", ".")
    if not NUMBER_PATTERN.fullmatch(text):
        return math.nan
    value = float(text)
    is_zero = not any(digit in "123456789" for digit in text.lower().partition("e")[0])
    return math.nan if value == 0 and not is_zero else value


def parse_any_number(cell: str) -> float:
    """Return the number in a cell whose format is not known; NaN if it is none."""
    formats = find_number_formats(cell)
    return (
        parse_number(cell, min(formats, key=lambda item: (item.decimal == ",", item.thousands)))
        if formats
        else math.nan
    )


def parse_numbers(cells: Any, number_format: NumberFormat, missing: Iterable[str]) -> NDArray[np.float64]:
    """Return the numbers of a column: NaN if a cell is missing or no number, infinity if it overflows.

    Args:
        cells: Array of pyarrow with text.
        number_format: Format of the numbers.
        missing: Cells that mark a missing number.
    """
    import pyarrow
    from pyarrow import compute

    if number_format == NumberFormat():
        try:
            values = cells.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
            if np.isfinite(values).all() and values.all():  # zeros may be underflows
                return np.asarray(values)
        except pyarrow.ArrowInvalid:
            pass
    markers = {*missing}
    encoded = compute.dictionary_encode(compute.utf8_trim_whitespace(cells))
    texts = encoded.dictionary.to_pylist()
    values = [math.nan if text in markers else parse_number(text, number_format) for text in texts]
    numbers = np.array(values, np.float64)
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    return numbers[indices] if len(numbers) else np.empty(0)
