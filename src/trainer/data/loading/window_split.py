"""Split of the windows of a time series into training, validation and test, in order."""

from collections.abc import Sequence

from trainer.core.errors import UserError
from trainer.data.loading.split import Stage

MIN_WINDOWS = 2  # of validation and test with several horizons: r2 needs two


def split_windows(
    name: str, rows: int, fractions: tuple[float, float], window_rows: int, horizons: Sequence[int]
) -> dict[Stage, range]:
    """Return the last rows of the windows of each split: those whose targets are all in the rows of the split.

    Args:
        name: Name of the series, for messages.
        rows: Number of rows of the series.
        fractions: Fractions of the rows for validation, and for test, the last ones.
        window_rows: Number of rows of a window.
        horizons: Rows from the last row of a window to each target.

    Raises:
        UserError: If a split has too few rows.
    """
    val_fraction, test_fraction = fractions
    first_test = rows - round(test_fraction * rows)
    first_val = first_test - round(val_fraction * rows)
    settings = f"a window of {window_rows} rows with data.horizon={','.join(map(str, horizons))}"
    needed = window_rows + max(horizons)
    if needed > first_val:
        raise UserError(
            f"{name}: {first_val} of its {rows} rows are for training, but {settings} needs {needed}; "
            "use a longer file or a shorter window"
        )
    span = max(horizons) - min(horizons)
    bounds: dict[Stage, tuple[int, int]] = {
        "train": (window_rows - 1 + min(horizons), first_val),
        "val": (first_val, first_test),
        "test": (first_test, rows),
    }
    for stage in ("val", "test"):
        start, stop = bounds[stage]
        if span and stop - start < span + MIN_WINDOWS:
            raise UserError(
                f"{name}: {stop - start} of its {rows} rows are for {stage}, but {settings} needs "
                f"{span + MIN_WINDOWS}; increase data.{stage}_fraction, or use a longer file"
            )
    return {stage: range(start - min(horizons), stop - max(horizons)) for stage, (start, stop) in bounds.items()}
