"""Rows of a table as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.tables.dialect_detection import detect_dialect
from trainer.data.io.tables.table_file import iter_tables
from trainer.data.io.tables.text_table import TextTable
from trainer.data.preprocessing.tabular import TabularPreprocessing
from trainer.data.tabular.column_lookup import find_input_columns
from trainer.data.tabular.columns import Column
from trainer.data.tabular.encoding import encode_numbers
from trainer.data.tabular.inspection import Inspection, InspectionSettings
from trainer.data.tabular.targets import read_classes, read_values


@dataclass(frozen=True)
class Rows:
    """Rows of a file.

    Args:
        table: Cells of the target columns, for messages.
        indices: Index of each input column in the file.
        inputs: Stored inputs (rows, numbers + categories), see `TabularPreprocessing`.
        targets: Classes (rows,) or values (rows, targets).
        groups: Group of each row; empty if there are none.
        weights: Weight of each row (rows,); None if there are none.
    """

    table: TextTable
    indices: list[int]
    inputs: Tensor
    targets: Tensor
    groups: list[str]
    weights: Tensor | None


def read_rows(
    path: Path,
    inspection: Inspection,
    settings: InspectionSettings,
    preprocessing: TabularPreprocessing,
    *,
    class_names: Sequence[str],
    skip_missing_targets: bool,
) -> Rows:
    """Read the inputs and targets of a file.

    Args:
        path: The inspected file, or another one with the same columns.
        inspection: Inspection of the training file.
        settings: Settings of the inspection.
        preprocessing: Encodes the input columns.
        class_names: Class names; empty for regression.
        skip_missing_targets: Whether rows without a target are left out.

    Raises:
        UserError: If a cell is invalid or a column is missing; the message names file, line and column.
    """
    is_inspected = path == inspection.path
    dialect = inspection.dialect if is_inspected else detect_dialect(path, settings.dialect, inspection.names)
    inputs = _Buffer(preprocessing.stored_size, inspection.rows if is_inspected else 0)
    cells: dict[int, list[Any]] = {}
    for table in iter_tables(path, dialect):
        if not cells:
            indices = find_input_columns(table, preprocessing.inputs, preprocessing.names, preprocessing.width)
            targets = [_find_target(table, inspection, target) for target in inspection.targets]
            others = {key: table.index(key, name) for key, name in settings.others}
            cells = {index: [] for index in (*targets, *others.values())}
        inputs.append(preprocessing.encode(table, indices))
        for index, parts in cells.items():
            parts.append(table.columns[index])
    stored = inputs.join()
    file = _join_columns(table, cells)
    if skip_missing_targets:
        file, present = _select_present(file, targets, {*settings.missing} - {*class_names})
        stored = stored[present]
    if class_names:
        values = read_classes(file, targets[0], class_names, settings.missing)
    else:
        values = read_values(
            file, [inspection.columns[index] for index in inspection.targets], targets, settings.missing
        )
    groups = file.cells(others["data.group_column"]) if "data.group_column" in others else []
    weights = _read_weights(file, others["data.weight_column"]) if "data.weight_column" in others else None
    return Rows(file, indices, stored, values, groups, weights)


def _read_weights(file: TextTable, index: int) -> Tensor:
    """Return the weight of each row (rows,)."""
    column = Column(index, "", "number")
    weights = encode_numbers(file, column, index, (), "expected a weight of at least 0")[:, 0]
    for row in np.flatnonzero(weights < 0).tolist():
        raise UserError(f"{file.locate(row, index)}: {file.cell(row, index)} is no weight; expected at least 0")
    return torch.tensor(weights)


class _Buffer:
    """Rows that are appended in blocks, without a second copy in memory if their number is known.

    Args:
        size: Numbers per row.
        rows: Expected number of rows.
    """

    def __init__(self, size: int, rows: int) -> None:
        self._stored = torch.empty(rows, size, dtype=torch.float64)
        self._count = 0
        self._others: list[Tensor] = []

    def append(self, block: Tensor) -> None:
        """Add a block (rows, size)."""
        end = self._count + len(block)
        if end <= len(self._stored) and not self._others:
            self._stored[self._count : end] = block
            self._count = end
        else:
            self._others.append(block)

    def join(self) -> Tensor:
        """Return all rows."""
        stored = self._stored[: self._count]
        return torch.cat([stored, *self._others]) if self._others else stored


def _find_target(table: TextTable, inspection: Inspection, column: int) -> int:
    """Return the index of a target column of the training file in another file."""
    name = inspection.columns[column].name
    is_unique = table.names and inspection.names.count(name) == 1
    return table.index("data.target", name if is_unique else column)


def _join_columns(block: TextTable, cells: dict[int, list[Any]]) -> TextTable:
    """Return a table of some columns of all blocks; the others are not kept in memory and repeat one of them."""
    import pyarrow

    columns = {index: pyarrow.concat_arrays(parts) for index, parts in cells.items()}
    first = next(iter(columns.values()))
    return TextTable(block.path, block.dialect, block.names, [columns.get(i, first) for i in range(block.width)])


def _select_present(file: TextTable, targets: Sequence[int], missing: set[str]) -> tuple[TextTable, Tensor]:
    """Return the rows with all targets, and their indices."""
    import pyarrow
    from pyarrow import compute

    is_missing = np.zeros(len(file), bool)
    for target in targets:
        is_missing |= compute.is_in(file.column(target), pyarrow.array([*missing], pyarrow.string())).to_numpy(
            zero_copy_only=False
        )
    present = np.flatnonzero(~is_missing)
    if not len(present):
        raise UserError(f"{file.path}, {file.describe_column(targets[0])}: every target is missing")
    columns = [column.take(pyarrow.array(present)) for column in file.columns]
    return TextTable(file.path, file.dialect, file.names, columns, numbers=present.tolist()), torch.from_numpy(present)
