"""Numbers of any size in 64 bits, made ready for a network in 32 bits: mean, standard deviation, and what is lost."""

import torch
from torch import Tensor

ROWS_COMPARED = 1000  # enough to notice a loss; of many more rows some are equal in 32 bits by chance


def mean_and_std(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column, free of overflow and of rounding for numbers of any size.

    A sum of large numbers overflows or loses the digits in which they differ, and so do their squares. The numbers
    are therefore shifted by the middle of their range and divided by half of it, to [-1, 1], before they are summed.

    Args:
        values: Columns (rows, columns) in float64. NaN is missing: it counts as the mean of its column.

    Returns:
        tuple[Tensor, Tensor]: Means (columns,), NaN if all is missing; standard deviations (columns,), 1 for a column
        that never changes.
    """
    absent = values.isnan()
    low = values.masked_fill(absent, torch.inf).amin(0)
    high = values.masked_fill(absent, -torch.inf).amax(0)
    middle = low / 2 + high / 2
    half_range = high / 2 - low / 2
    changes = half_range > 0
    unit = (values - middle) / torch.where(changes, half_range, 1.0)
    mean = unit.nanmean(0)
    std = torch.where(absent, mean, unit).std(0, correction=0)
    means = torch.where(changes, middle + half_range * mean, low).masked_fill(absent.all(0), torch.nan)
    return means, torch.where(changes, half_range * std, 1.0)


def unusable_number(values: Tensor, prepared: Tensor) -> tuple[int, int, str] | None:
    """Return row, column and fault of a number that a network cannot use, or None if there is none.

    Args:
        values: Columns (rows, columns) in float64, NaN if missing.
        prepared: The same as the network gets them, in float32.
    """
    infinite = prepared.isinf().nonzero().tolist()
    if infinite:
        row, column = infinite[0]
        return row, column, "does not fit into a 32-bit float"
    for column in range(values.shape[1]):
        some = values[:ROWS_COMPARED, column]
        known = ~some.isnan()
        kept = {*prepared[:ROWS_COMPARED, column][known].tolist()}
        if 2 * len(kept) < len({*some[known].tolist()}):  # more than half of the numbers equal another one
            row = int(values[:, column].nan_to_num(0.0).abs().argmax())
            return row, column, "leaves too few digits for the other numbers of its column in 32-bit floats"
    return None
