"""Numbers in text cells with decimal commas, separators of thousands, currencies, or digits of other scripts."""

import math
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

INVISIBLE_CHARACTERS = str.maketrans("", "", "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
SIGNS = str.maketrans("\u2212\u2013\uff0d\u2019", "---'")  # minus signs, and the apostrophe of Swiss thousands
AFFIX_PATTERN = re.compile(r"US\$|[$€£¥₹₩₽฿]|%|USD|EUR|GBP|CNY|JPY|CHF", re.IGNORECASE)
INFINITE_NUMBERS = ("inf", "infinity")
MAX_NUMBER_LENGTH = 400  # 1e308 written out, with separators


@dataclass(frozen=True)
class NumberFormat:
    """Format of numbers in text.

    Args:
        decimal: Decimal point, `"."` or `","`.
        thousands: Separator of thousands: `","`, `"."`, `" "`, `"'"`, or `""` if there is none.
    """

    decimal: str = "."
    thousands: str = ""


def normalize_number(cell: str) -> str:
    """Return a cell with ASCII digits and signs, without currency, percent sign and invisible characters."""
    if not cell.isascii() and any(c.isdigit() and not c.isdecimal() for c in cell):
        return ""  # an exponent, as in 10²
    text = unicodedata.normalize("NFKC", cell.translate(INVISIBLE_CHARACTERS)).translate(SIGNS)
    text = AFFIX_PATTERN.sub("", text, count=1).strip()
    if text.startswith("(") and text.endswith(")"):  # a negative number in accounting
        text = f"-{text[1:-1]}"
    return "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in text)


FORMATS = tuple(
    NumberFormat(decimal, thousands)
    for decimal, thousands in ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"))
)


@cache
def _grouped_pattern(number_format: NumberFormat) -> str:
    """Return a regular expression of numbers with separators of thousands, and of numbers without them."""
    thousands, decimal = map(re.escape, (number_format.thousands, number_format.decimal))
    grouped = rf"[0-9]{{1,3}}({thousands}[0-9]{{3}})+({decimal}[0-9]*)?"
    plain = rf"([0-9]+{decimal}?[0-9]*|{decimal}[0-9]+)([eE][+-]?[0-9]+)?"
    return rf"^[+-]?({grouped}|{plain})$" if thousands else rf"^[+-]?{plain}$"


def find_number_formats(cell: str) -> set[NumberFormat]:
    """Return the formats in which a cell is a number; empty if it is none.

    `1,234` has two meanings: 1234 with separators of thousands, and 1.234 with a decimal comma. Numbers out of the
    range of 64-bit floats are numbers, though `parse_number` returns no finite value for them.
    """
    if cell.lstrip("+-").casefold() in INFINITE_NUMBERS:
        return {*FORMATS}
    if len(cell) > MAX_NUMBER_LENGTH or not any(character.isdigit() for character in cell):
        return set()
    text = normalize_number(cell)
    return {item for item in FORMATS if re.fullmatch(_grouped_pattern(item), text)}


def sort_formats(columns: Iterable[Collection[NumberFormat]]) -> list[NumberFormat]:
    """Return all formats in the order of preference for a file: those with its decimal separator first.

    Numbers such as `1,234` have a decimal comma if a column of the file can be read only so, else a decimal point.

    Args:
        columns: Formats in which all numbers of each column can be read; empty if there is none.
    """
    has_decimal_comma = any(formats and all(item.decimal == "," for item in formats) for formats in columns)
    return sorted(FORMATS, key=lambda item: (item.decimal == ",") != has_decimal_comma)


def parse_number(cell: str, number_format: NumberFormat = FORMATS[0]) -> float:
    """Return the number in a cell: NaN if it is none or underflows, infinity if it overflows."""
    text = normalize_number(cell)
    if not re.fullmatch(_grouped_pattern(number_format), text):
        return math.nan
    text = _to_plain(text, number_format)
    value = float(text)
    return math.nan if value == 0 and _is_underflow(text) else value


def parse_plain_number(cell: str) -> float:
    """Return the number in a cell without separators, currency or percent sign; NaN if it is none."""
    text = unicodedata.normalize("NFKC", cell)
    return parse_number(text) if re.fullmatch(_grouped_pattern(FORMATS[0]), text) else math.nan


def _to_plain(text: str, number_format: NumberFormat) -> str:
    text = text.replace(number_format.thousands, "") if number_format.thousands else text
    return text.replace(number_format.decimal, ".")


def parse_any_number(cell: str) -> float:
    """Return the number in a cell whose format is not known; NaN if it is none."""
    formats = find_number_formats(cell)
    if not formats:
        return math.nan
    return parse_number(cell, min(formats, key=lambda item: (item.decimal == ",", item.thousands)))


def parse_numbers(cells: Any, number_format: NumberFormat, missing: Collection[str]) -> NDArray[np.float64]:
    """Return the numbers of a column: NaN if a cell is missing or no number, infinity if it overflows.

    Args:
        cells: Array of pyarrow with text.
        number_format: Format of the numbers.
        missing: Cells that mark a missing number.
    """
    from pyarrow import compute

    values = cast_numbers(cells, number_format, missing)
    if values is not None:
        return values
    encoded = compute.dictionary_encode(compute.utf8_trim_whitespace(cells))
    texts = encoded.dictionary.to_pylist()
    parsed = [math.nan if text in missing else parse_number(text, number_format) for text in texts]
    return np.array([*parsed, math.nan])[encoded.indices.to_numpy(zero_copy_only=False)]


def cast_numbers(cells: Any, number_format: NumberFormat, missing: Collection[str]) -> NDArray[np.float64] | None:
    """Return the numbers of a column, NaN if missing, or None if a cell needs `parse_number`.

    Args:
        cells: Array of pyarrow with text.
        number_format: Format of the numbers.
        missing: Cells that mark a missing number.
    """
    import pyarrow
    from pyarrow import compute

    is_plain = number_format == FORMATS[0]
    has_number_markers = any(find_number_formats(marker) for marker in missing)
    values = _try_cast(cells) if is_plain and not has_number_markers else None
    if values is None:
        cells = compute.utf8_trim_whitespace(cells)
        if missing:
            markers = pyarrow.array([*missing], pyarrow.string())
            cells = compute.if_else(compute.is_in(cells, markers), None, cells)
        if not is_plain:
            if not fits_format(cells, number_format):
                return None
            if number_format.thousands:
                cells = compute.replace_substring(cells, number_format.thousands, "")
            cells = compute.replace_substring(cells, number_format.decimal, ".")
        values = _try_cast(cells)
    if values is None:
        return None
    numbers = np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
    if np.isinf(numbers).any() or (np.isnan(numbers).sum() > values.null_count):
        return None
    is_zero = numbers == 0
    if is_zero.any() and any(map(_is_underflow, compute.unique(cells.filter(pyarrow.array(is_zero))).to_pylist())):
        return None
    return numbers


def fits_format(cells: Any, number_format: NumberFormat) -> bool:
    """Return whether all cells of a column that are not null are numbers of ASCII digits in a format."""
    from pyarrow import compute

    matches = compute.match_substring_regex(cells, _grouped_pattern(number_format))
    return bool(compute.all(matches, min_count=0).as_py())


def _try_cast(cells: Any) -> Any:
    import pyarrow

    try:
        return cells.cast(pyarrow.float64())
    except pyarrow.ArrowInvalid:
        return None


def _is_underflow(text: str) -> bool:
    """Return whether the digits of a number whose float is 0 are not all 0."""
    return any(digit in "123456789" for digit in text.lower().partition("e")[0])
