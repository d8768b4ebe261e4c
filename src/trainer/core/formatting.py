"""Formats of numbers, tables and curves in text."""

import math
import shlex
from collections.abc import Sequence
from statistics import fmean

from trainer.core.escaping import escape_markdown

SPARKLINE_CHARS = 32
SPARKLINE_BLOCKS = "▁▂▃▄▅▆▇█"


def format_number(value: float | None, *, signed: bool = False) -> str:
    """Return a number with four significant digits; empty for None.

    Args:
        value: Number.
        signed: Whether a positive number has a plus sign. Defaults to False.
    """
    return "" if value is None else f"{value:{'+' if signed else ''}.4g}"


def quote_argument(argument: object) -> str:
    """Return an argument of a command that the reader may copy, quoted for the shell if necessary."""
    return shlex.quote(str(argument))


def format_markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; vertical bars and HTML in cells are escaped, and line breaks become spaces."""
    names, *cells = ([escape_markdown(cell).replace("|", r"\|") for cell in row] for row in (header, *rows))
    lines = [names, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_sparkline(values: Sequence[float], low: float | None = None, high: float | None = None) -> str:
    """Return a curve as at most 32 block characters; it has gaps (spaces) if no value is finite.

    Args:
        values: Points of the curve; neighbors are averaged.
        low: Value of the lowest block. Defaults to the lowest average.
        high: Value of the highest block. Defaults to the highest average.
    """
    size = -(-len(values) // SPARKLINE_CHARS) or 1
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    means = [mean(group) for group in groups]
    finite = [value for value in means if math.isfinite(value)]
    low = min(finite, default=0.0) if low is None else low
    high = max(finite, default=0.0) if high is None else high
    return "".join(_get_block(value, low, high) if math.isfinite(value) else " " for value in means)


def mean(values: Sequence[float]) -> float:
    """Return the mean of the finite values, or NaN if there are none. Huge values do not overflow."""
    finite = [value for value in values if math.isfinite(value)]
    scale = 2.0 ** len(finite).bit_length()  # a power of two: the division is exact
    return scale * fmean(value / scale for value in finite) if finite else math.nan


def _get_block(value: float, low: float, high: float) -> str:
    span = high / 2 - low / 2  # the difference itself can overflow
    fraction = (value / 2 - low / 2) / span if span else 0.0
    return SPARKLINE_BLOCKS[round(min(max(fraction, 0.0), 1.0) * (len(SPARKLINE_BLOCKS) - 1))]


def format_duration(seconds: float) -> str:
    """Return a rounded duration: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
