"""Formats of numbers, tables and curves in text."""

from collections.abc import Sequence
from statistics import fmean

SPARKLINE_CHARS = 32
SPARKLINE_BLOCKS = "▁▂▃▄▅▆▇█"


def format_number(value: float | None) -> str:
    """Return a number with four significant digits; empty for None."""
    return "" if value is None else f"{value:.4g}"


def format_markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; vertical bars and line breaks in cells are escaped."""
    lines = [
        header,
        ["---"] * len(header),
        *([" ".join(cell.split()).replace("|", r"\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_sparkline(values: Sequence[float], low: float | None = None, high: float | None = None) -> str:
    """Return a curve as at most 32 block characters.

    Args:
        values: Points of the curve; neighbors are averaged.
        low: Value of the lowest block. Defaults to the lowest average.
        high: Value of the highest block. Defaults to the highest average.
    """
    size = -(-len(values) // SPARKLINE_CHARS) or 1
    means = [fmean(values[start : start + size]) for start in range(0, len(values), size)]
    low = min(means, default=0.0) if low is None else low
    high = max(means, default=0.0) if high is None else high
    scale = (len(SPARKLINE_BLOCKS) - 1) / ((high - low) or float("inf"))
    return "".join(SPARKLINE_BLOCKS[round((mean - low) * scale)] for mean in means)
