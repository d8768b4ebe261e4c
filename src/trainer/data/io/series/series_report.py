"""Messages about a time series that was read from a file: its columns, order, gaps and stock splits."""

import math
from collections.abc import Sequence

import numpy as np

from trainer.core.override_format import format_override
from trainer.data.io.series.series_columns import normalize_name
from trainer.data.io.series.series_times import format_times
from trainer.data.io.series.time_series import TimeSeries

SPLIT_RATIOS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)
SPLIT_TOLERANCE = 0.04  # a price changes on the day of a split, too
MIN_JUMP_TO_USUAL_CHANGE = 10  # a series with large changes on other days has no splits
MAX_LISTED_JUMPS = 3
MAX_EXPONENT = 700.0  # of a 64-bit float
DAY_SECONDS = 86_400
MIN_GAP_SECONDS = 7 * DAY_SECONDS
MIN_GAP_TO_USUAL_STEP = 10


def describe_series(series: TimeSeries) -> str:
    """Return file, rows, first and last time, columns, order and dropped rows in one line."""
    source = series.source
    assert source is not None
    table = source.table
    days = series.days
    inputs = ", ".join(str(table.name_or_index(column)) for column in source.columns.inputs)
    parts = [
        f"{table.path}: {len(series):,} rows from {days[0]} to {days[-1]}",
        f"dates: {table.describe_column(source.columns.date)} ({source.date_format.order})",
        f"price: {table.describe_column(source.columns.price)}",
        "" if source.columns.inputs == (source.columns.price,) else f"inputs: {inputs}",
        *source.notes,
        describe_gap(series),
    ]
    return "; ".join(filter(None, parts))


def describe_gap(series: TimeSeries) -> str:
    """Return the largest gap between rows if it is much larger than the usual one, else ""."""
    steps = np.diff(series.times.astype(np.int64))
    if not len(steps):
        return ""
    index = int(steps.argmax())
    if steps[index] <= max(MIN_GAP_SECONDS, MIN_GAP_TO_USUAL_STEP * float(np.median(steps))):
        return ""
    return f"largest gap: {series.days[index]} to {series.days[index + 1]}"


def find_jumps(prices: Sequence[float]) -> list[tuple[int, str]]:
    """Return index and ratio of the prices that are about 1/2, 2, 1/3, 3, ... times the previous one, or far from it.

    Args:
        prices: Prices, the oldest first. There are no jumps if one is not above 0, or if they usually change by much.
    """
    values = np.asarray(prices, np.float64)
    if len(values) < 3 or (values <= 0).any():
        return []
    changes = np.diff(np.log(values))
    usual_change = float(np.median(np.abs(changes)))
    jumps = []
    for index in np.flatnonzero(np.abs(changes) > max(0.5, MIN_JUMP_TO_USUAL_CHANGE * usual_change)).tolist():
        ratio = abs(changes[index])
        nearest = min(SPLIT_RATIOS, key=lambda item: abs(math.log(item) - ratio))
        if abs(math.log(nearest) - ratio) <= SPLIT_TOLERANCE:
            text = str(nearest)
        elif ratio > math.log(SPLIT_RATIOS[-1]):
            text = f"{math.exp(min(ratio, MAX_EXPONENT)):.1g}"
        else:
            continue
        jumps.append((index + 1, text if changes[index] > 0 else f"1/{text}"))
    return jumps


def describe_jumps(series: TimeSeries) -> str:
    """Return a warning that names the times at which the price changes as in a stock split, or ""."""
    source = series.source
    jumps = find_jumps(series.prices.tolist())
    if source is None or not jumps:
        return ""
    days = format_times(series.times)
    listed = ", ".join(f"{days[index]} ({ratio} times the price before)" for index, ratio in jumps[:MAX_LISTED_JUMPS])
    others = f" and {len(jumps) - MAX_LISTED_JUMPS} other rows" if len(jumps) > MAX_LISTED_JUMPS else ""
    table = source.table
    column = source.columns.price
    adjusted = [name for name in table.names if normalize_name(name).startswith("adj")]
    is_used = bool(table.names) and table.names[column] in adjusted
    hint = "prices that are adjusted for splits"
    if adjusted and not is_used:
        hint = format_override("data.price_column", adjusted[0])
    return (
        f"warning: {source.locate(jumps[0][0], column)}: the price changes as in a stock split, or by mistake, on "
        f"{listed}{others}; use {hint}, or fix the file"
    )


def describe_disorder(series: TimeSeries) -> str:
    """Return a warning that names the first row that is not in the order of most rows of the file, or ""."""
    source = series.source
    if source is None:
        return ""
    order = np.argsort(source.rows)
    steps = np.diff(order)  # positions in time of consecutive rows
    is_ascending = (steps > 0).mean() >= 0.5 if len(steps) else True
    exceptions = np.flatnonzero(steps < 0 if is_ascending else steps > 0)
    if not len(exceptions):
        return ""
    previous, index = (int(order[exceptions[0] + offset]) for offset in (0, 1))
    return (
        f"warning: {source.locate(index, source.columns.date)}: {series.days[index]} follows {series.days[previous]}, "
        f"but most rows are {'oldest' if is_ascending else 'newest'} first; all rows are sorted by date"
    )
