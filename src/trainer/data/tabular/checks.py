"""Checks of the rows of a table: numbers beyond the precision of a network, and inputs that reveal the target."""

import logging

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.preprocessing.float_range import find_unusable_number
from trainer.data.preprocessing.tabular import TabularPreprocessing
from trainer.data.tabular.rows import Rows

log = logging.getLogger(__name__)

MIN_LEAK_ROWS = 50
MIN_ROWS_PER_VALUE = 5  # on average: with fewer, each value has one class by chance
LEAK_CORRELATION = 0.99999


def check_numbers(rows: Rows, inputs: Tensor, order: Tensor | None, preprocessing: TabularPreprocessing) -> None:
    """Raise an error if different numbers become equal, or infinite, in the network inputs.

    Args:
        rows: All rows of a file.
        inputs: Their stored inputs.
        order: Row of each input; None if they are in the order of the file.
        preprocessing: Preprocessing with the statistics of the training rows.
    """
    assert preprocessing.mean is not None
    indices = {column.index: index for column, index in zip(preprocessing.inputs, rows.indices, strict=True)}
    for number, column in enumerate(preprocessing.number_columns):
        if column.kind not in ("number", "date"):
            continue
        values = inputs[:, number : number + 1]
        if order is not None:  # to the order of the file, so that the first row is reported
            values = torch.empty_like(values).index_copy_(0, order, values)
        index = indices[column.index]
        name = rows.table.describe_column(index)
        if preprocessing.mean[number].isnan():
            raise UserError(f"{rows.table.path}, {name}: missing in every training row; leave it out by data.drop")
        prepared = preprocessing.standardize(values, number)
        if unusable := find_unusable_number(values, prepared):
            row, _, reason = unusable
            hint = "" if preprocessing.std is not None else "set data.standardize=true, or "
            raise UserError(
                f"{rows.table.locate(row, index)}: {rows.table.find_cell(row, index)} {reason}; {hint}add it to "
                f"data.missing if it means a missing number, or leave out {name} by data.drop"
            )


def find_leak(inputs: Tensor, targets: Tensor, preprocessing: TabularPreprocessing) -> str | None:
    """Return the name of an input column that alone determines the target, or None if there is none.

    Args:
        inputs: Stored training inputs (rows, numbers + categories).
        targets: Classes (rows,) or values (rows, targets).
        preprocessing: Preprocessing of the inputs.
    """
    if len(inputs) < MIN_LEAK_ROWS:
        return None
    columns = [*preprocessing.number_columns, *preprocessing.categories]
    for number, column in enumerate(columns):
        if column.kind in ("text", "date"):
            continue
        values = inputs[:, number]
        if targets.dim() == 1:
            is_leak = _has_one_class_per_value(values.nan_to_num(-1.0), targets)
        else:
            is_leak = column.kind == "number" and _is_proportional(values, targets[:, 0])
        if is_leak:
            return column.name or f"{column.index} (counted from 0)"
    return None


def _has_one_class_per_value(values: Tensor, classes: Tensor) -> bool:
    """Return whether each value, or each range of values between two others, has one class."""
    order = values.argsort(stable=True)
    ordered = classes[order]
    changes = int((ordered[1:] != ordered[:-1]).sum())
    distinct_classes = len(torch.unique(classes))
    starts_value = torch.cat([torch.tensor([True]), values[order][1:] != values[order][:-1]])
    if changes == distinct_classes - 1 and starts_value[1:][ordered[1:] != ordered[:-1]].all():
        return True
    distinct = int(starts_value.sum())
    if distinct * MIN_ROWS_PER_VALUE > len(values):
        return False
    return bool(starts_value[1:][ordered[1:] != ordered[:-1]].all())


def _is_proportional(values: Tensor, targets: Tensor) -> bool:
    present = ~values.isnan()
    pair = torch.stack([values[present], targets[present].double()])
    if pair.shape[1] < MIN_LEAK_ROWS or (pair.amax(1) == pair.amin(1)).any():
        return False
    return bool(torch.corrcoef(pair)[0, 1].abs() > LEAK_CORRELATION)
