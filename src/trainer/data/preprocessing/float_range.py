"""Standardization statistics that do not overflow, and detection of numbers that float32 cannot represent."""

import torch
from torch import Tensor

MAX_COMPARED_ROWS = 1000  # among many more rows, some numbers are equal in float32 by chance


def mean_and_std(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column, without overflow or loss of precision for large numbers.

    The numbers are shifted by the middle of their range and divided by half of it, to [-1, 1], before they are summed.

    Args:
        values: Columns (rows, columns) in float64; NaN is missing and counts as the mean of its column.

    Returns:
        tuple[Tensor, Tensor]: Means (columns,), NaN if all values are missing; standard deviations (columns,), 1 for a
        constant column.
    """
    is_missing = values.isnan()
    low = values.masked_fill(is_missing, torch.inf).amin(0)
    high = values.masked_fill(is_missing, -torch.inf).amax(0)
    middle = low / 2 + high / 2
    half_range = high / 2 - low / 2
    varies = half_range > 0
    unit = (values - middle) / torch.where(varies, half_range, 1.0)
    mean = unit.nanmean(0)
    std = torch.where(is_missing, mean, unit).std(0, correction=0)
    means = torch.where(varies, middle + half_range * mean, low).masked_fill(is_missing.all(0), torch.nan)
    return means, torch.where(varies, half_range * std, 1.0)


def find_unusable_number(values: Tensor, prepared: Tensor) -> tuple[int, int, str] | None:
    """Return row, column and reason of a number that a network cannot use, or None if there is none.

    Args:
        values: Columns (rows, columns) in float64, NaN if missing.
        prepared: The same values as network inputs, in float32.
    """
    infinite = prepared.isinf().nonzero().tolist()
    if infinite:
        row, column = infinite[0]
        return row, column, "does not fit into a 32-bit float"
    for column in range(values.shape[1]):
        numbers = values[:MAX_COMPARED_ROWS, column]
        is_number = ~numbers.isnan()
        distinct_prepared = {*prepared[:MAX_COMPARED_ROWS, column][is_number].tolist()}
        if 2 * len(distinct_prepared) < len({*numbers[is_number].tolist()}):
            row = int(values[:, column].nan_to_num(0.0).abs().argmax())
            return row, column, "leaves too few digits for the other numbers of its column in 32-bit floats"
    return None
