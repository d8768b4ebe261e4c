"""Classes and values of the target columns of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.override_format import format_list_override
from trainer.core.spec import Target
from trainer.data.io.tables.class_labels import (
    MAX_LISTED_LABELS,
    encode_labels,
    explain_near_duplicates,
    find_near_duplicates,
    label_sort_key,
    normalize_label,
    validate_class_names,
)
from trainer.data.io.tables.header_detection import is_missing
from trainer.data.io.tables.table_file import read_table
from trainer.data.io.tables.text_table import TextTable
from trainer.data.tabular.columns import Column
from trainer.data.tabular.encoding import encode_numbers
from trainer.data.tabular.inspection import Inspection


@dataclass(frozen=True)
class TargetSettings:
    """Settings of the user about the target; the rest is found in the file.

    Args:
        task: Kind of target.
        class_names: Labels of the classes.
        skip_missing: Whether rows without a target are left out.
        standardize: Whether values are scaled for the loss.

    Raises:
        UserError: If a name occurs twice, there is only one, or the target is a value.
    """

    task: Target | None
    class_names: tuple[str, ...]
    skip_missing: bool
    standardize: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(name.strip() for name in self.class_names))
        validate_class_names(self.class_names)
        if len(self.class_names) == 1:
            raise UserError("data.class_names: expected at least 2")
        if self.class_names and self.task == "regression":
            raise UserError("data.class_names: values have no classes; leave it out, or set data.task=classification")

    def find_task(self, inspection: Inspection | None) -> Target:
        """Return the kind of target; without a file, it is a class by default."""
        if self.task or self.class_names or inspection is None:
            task = self.task or "classification"
            if inspection and len(inspection.targets) > 1 and task == "classification":
                raise UserError("data.target: several targets are values; leave out data.task and data.class_names")
            return task
        return inspection.task

    def find_class_names(self, inspection: Inspection | None) -> tuple[str, ...]:
        """Return the class names; empty for regression. Without a file, they are 0 and 1 by default."""
        if self.find_task(inspection) == "regression":
            return ()
        if self.class_names or inspection is None:
            return self.class_names or ("0", "1")
        return find_classes(inspection)


def find_classes(inspection: Inspection) -> tuple[str, ...]:
    """Return the classes of the target: numbers by value, and then texts in alphabetical order.

    Raises:
        UserError: If there is only one class, or two labels are nearly the same.
    """
    [target] = inspection.targets
    column = f"{inspection.path}, {inspection.describe_column(target)}"
    if inspection.columns[target].kind == "date" and len(inspection.labels or ()) > MAX_LISTED_LABELS:
        raise UserError(f"{column}: dates are neither classes nor values; set another column: data.target=NAME")
    if inspection.labels is None or len(inspection.labels) > max(MAX_LISTED_LABELS, inspection.rows // 2):
        hint = "data.task=regression" if inspection.numeric_target else "another column: data.target=NAME"
        raise UserError(f"{column}: too many distinct values for classes; set {hint}")
    if not inspection.labels:
        markers = format_list_override("data.class_names", inspection.markers)
        raise UserError(f"{column}: every target is missing; if {', '.join(inspection.markers)} are classes: {markers}")
    labels = sorted(inspection.labels, key=label_sort_key)
    names = {normalize_label(label): label for label in reversed(labels)}
    ordered = [label for label in labels if names[normalize_label(label)] == label]
    if len(ordered) < 2:
        raise UserError(f"{column}: every row is of class '{ordered[0]}'; need at least two")
    if alike := find_near_duplicates(ordered):
        reason = explain_near_duplicates(read_table(inspection.path, inspection.dialect), target, alike)
        raise UserError(f"{column}: {reason}: {format_list_override('data.class_names', ordered)}")
    return tuple(ordered)


def read_classes(table: TextTable, target: int, class_names: Sequence[str], missing: Sequence[str]) -> Tensor:
    """Return class indices (rows,).

    Args:
        table: Rows.
        target: Index of the target column.
        class_names: Class names.
        missing: Cells that mark a missing value, unless they are class names.

    Raises:
        UserError: If a class is missing or unknown; the message names the line.
    """
    names = {normalize_label(name) for name in class_names}
    cells = table.cells(target)
    absent = {cell for cell in {*cells} if cell in missing and normalize_label(cell) not in names}
    for row, cell in enumerate(cells if absent else ()):
        if cell in absent:
            raise UserError(_explain_missing(table, target, row, cell, class_names))
    return torch.tensor(encode_labels(table, target, class_names))


def _explain_missing(table: TextTable, target: int, row: int, cell: str, class_names: Sequence[str]) -> str:
    message = f"{table.locate(row, target)}: the target is missing; remove the row from the file, or "
    skip = "data.skip_missing_targets=true"
    if cell and is_missing(cell):
        names = format_list_override("data.class_names", sorted([*class_names, cell], key=label_sort_key))
        return f"{message}set {skip}; if '{cell}' is a class: {names}"
    return f"{message}set {skip}"


def read_values(table: TextTable, columns: Sequence[Column], indices: Sequence[int], missing: Sequence[str]) -> Tensor:
    """Return regression targets (rows, targets) in float64.

    Args:
        table: Rows.
        columns: Target columns of the training file.
        indices: Their indices in the table.
        missing: Cells that mark a missing value.

    Raises:
        UserError: If a target is missing or no number; the message names the line.
    """
    targets = []
    for column, index in zip(columns, indices, strict=True):
        values = encode_numbers(table, replace(column, kind="number"), index, missing)[:, 0]
        for row in np.flatnonzero(np.isnan(values)).tolist():
            raise UserError(_explain_missing(table, index, row, "", ()))
        cells = table.cells(index) if len(values) > 1 and (values == values[0]).all() else []
        if len({*map(normalize_label, {*cells})}) > 1:
            raise UserError(
                f"{table.path}, {table.describe_column(index)}: different numbers, but equal as 64-bit floats"
            )
        targets.append(values)
    return torch.from_numpy(np.stack(targets, 1))
