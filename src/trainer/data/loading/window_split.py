"""Split of the windows of a time series into training, validation and test, in order."""

from collections.abc import Sequence
from typing import NamedTuple

from trainer.core.errors import UserError
from trainer.data.loading.folds import Fold
from trainer.data.loading.split import Stage

MIN_WINDOWS = 2  # of validation and test with several horizons: r2 needs two


class RowBounds(NamedTuple):
    """First row of validation and of test, and the row after the test; training starts with the first row."""

    val: int
    test: int
    stop: int


def cut_in_order(rows: int, fractions: tuple[float, float], fold: Fold | None) -> RowBounds:
    """Return the bounds of the splits of rows in the order of time.

    With folds, the rows after the first ones are divided into blocks of equal size, each of which is the test split of
    a fold. Rows after this block are not used, rows before it are for training, and the last ones of them for
    validation (forward chaining). The first rows, which are at least as many as a block, are not tested.

    Args:
        rows: Number of rows of the series.
        fractions: Fractions of the rows for validation, and for test, the last ones. With folds, the fraction of the
            rows before the test for validation; the other one has no effect.
        fold: Fold that is the test split; None without cross-validation.

    Source:
        Tashman 2000, Out-of-sample tests of forecasting accuracy; the blocks are those of scikit-learn's
        `TimeSeriesSplit`.
    """
    val_fraction, test_fraction = fractions
    if fold is None:
        test = rows - round(test_fraction * rows)
        return RowBounds(test - round(val_fraction * rows), test, rows)
    block = rows // (fold.count + 1)
    test = rows - (fold.count - fold.number) * block
    return RowBounds(test - round(val_fraction * test), test, test + block)


def split_windows(
    name: str, rows: int, fractions: tuple[float, float], window_rows: int, horizons: Sequence[int], fold: Fold | None
) -> dict[Stage, range]:
    """Return the last rows of the windows of each split: those whose targets are all in the rows of the split.

    Args:
        name: Name of the series, for messages.
        rows: Number of rows of the series.
        fractions: See `cut_in_order`.
        window_rows: Number of rows of a window.
        horizons: Rows from the last row of a window to each target.
        fold: Fold that is the test split; None without cross-validation.

    Raises:
        UserError: If a split has too few rows.
    """
    cut = cut_in_order(rows, fractions, fold)
    settings = f"a window of {window_rows} rows with data.horizon={','.join(map(str, horizons))}"
    needed = window_rows + max(horizons)
    if needed > cut.val:
        raise UserError(
            f"{name}: {cut.val} of its {rows} rows are for training, but {settings} needs {needed}; "
            f"use a longer file{', fewer folds' if fold else ''} or a shorter window"
        )
    span = max(horizons) - min(horizons)
    bounds: dict[Stage, tuple[int, int]] = {
        "train": (window_rows - 1 + min(horizons), cut.val),
        "val": (cut.val, cut.test),
        "test": (cut.test, cut.stop),
    }
    for stage in ("val", "test"):
        start, stop = bounds[stage]
        if span and stop - start < span + MIN_WINDOWS:
            change = "decrease data.folds" if fold and stage == "test" else f"increase data.{stage}_fraction"
            raise UserError(
                f"{name}: {stop - start} of its {rows} rows are for {stage}, but {settings} needs "
                f"{span + MIN_WINDOWS}; {change}, or use a longer file"
            )
    return {stage: range(start - min(horizons), stop - max(horizons)) for stage, (start, stop) in bounds.items()}
