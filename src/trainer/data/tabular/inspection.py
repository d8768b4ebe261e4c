"""Inspection of a file with a table, to find its format, the types of its columns, and its target."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.core.errors import UserError
from trainer.core.spec import Target
from trainer.data.io.compressed_file import open_content
from trainer.data.io.tables.class_labels import normalize_label
from trainer.data.io.tables.dialect_detection import DialectSettings, detect_dialect, refuse_unused_settings
from trainer.data.io.tables.number_format import parse_plain_number
from trainer.data.io.tables.other_formats import refuse_zero_bytes
from trainer.data.io.tables.table_file import iter_tables, suggest_delimiter
from trainer.data.io.tables.table_rows import Dialect, is_delimited, is_excel
from trainer.data.io.tables.text_table import TextTable, describe_column, find_column
from trainer.data.tabular.column_statistics import ColumnStatistics
from trainer.data.tabular.columns import (
    Column,
    ColumnKind,
    choose_number_format,
    classify_column,
    convert_column,
)

ColumnName = str | int
MAX_CLASSES = 20  # a target with more distinct whole numbers is a value, not a class
MIN_ROWS_PER_CLASS = 3  # on average
DEFAULT_DIALECT = DialectSettings()


@dataclass(frozen=True)
class InspectionSettings:
    """Settings of the user about a table; the rest is detected.

    Args:
        dialect: Format of the table.
        targets: Target columns.
        drop: Columns to ignore.
        kinds: Types of columns by name.
        columns: Complete columns by name, as an earlier inspection found them.
        others: Columns with another use, such as weights; they are no inputs.
        missing: Cells that mark a missing value.
    """

    dialect: DialectSettings = DEFAULT_DIALECT
    targets: tuple[ColumnName, ...] = (-1,)
    drop: tuple[ColumnName, ...] = ()
    kinds: tuple[tuple[ColumnName, ColumnKind], ...] = ()
    columns: tuple[tuple[ColumnName, Column], ...] = ()
    others: tuple[tuple[str, ColumnName], ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """Result of the inspection of a file.

    Args:
        path: The file.
        dialect: Format of the table.
        names: Column names; empty if there are none.
        rows: Number of rows.
        columns: All columns; the targets are among them.
        targets: Indices of the target columns.
        labels: Number of rows by cell of the target; None if there are too many, or several targets.
        markers: Cells of the target that mark missing values.
        whole_target: Whether the targets are whole numbers.
        numeric_target: Whether the targets are numbers.
    """

    path: Path
    dialect: Dialect
    names: tuple[str, ...]
    rows: int
    columns: tuple[Column, ...]
    targets: tuple[int, ...]
    labels: Mapping[str, int] | None
    markers: tuple[str, ...]
    whole_target: bool
    numeric_target: bool

    @property
    def inputs(self) -> tuple[Column, ...]:
        """Columns that are inputs of the network."""
        return tuple(item for item in self.columns if item.kind != "ignored" and item.index not in self.targets)

    @property
    def task(self) -> Target:
        """`"classification"` if the target has few distinct values that are texts or whole numbers."""
        if len(self.targets) > 1 or (self.numeric_target and self.labels is None):
            return "regression"
        if not self.numeric_target or not self.labels:
            return "classification"
        count = len({normalize_label(label) for label in [*self.labels][: 10 * MAX_CLASSES]})
        is_frequent = count <= 2 or count * MIN_ROWS_PER_CLASS <= self.rows
        return "classification" if self.whole_target and count <= MAX_CLASSES and is_frequent else "regression"

    def describe_column(self, column: int) -> str:
        """Return the name of a column, or its index if it has none, for messages."""
        return describe_column(self.names, column)


def inspect_file(path: Path, settings: InspectionSettings) -> Inspection:
    """Inspect a file.

    Args:
        path: The file.
        settings: Settings of the user.

    Raises:
        UserError: If the file cannot be read, or a setting does not fit it.
    """
    known = [*settings.targets, *settings.drop, *(name for name, _ in settings.kinds), *dict(settings.others).values()]
    refuse_unused_settings(path, settings.dialect)
    if is_delimited(path) and settings.dialect.encoding is None:
        with open_content(path) as stream:
            refuse_zero_bytes(path, stream)
    dialect = detect_dialect(
        path, settings.dialect, [name for name in known if isinstance(name, str) and not name.isdecimal()]
    )
    names, statistics = _collect(path, dialect, settings, settings.missing)
    width = len(statistics) - _count_empty_columns(names, statistics)
    targets = tuple(find_column(path, names[:width], width, "data.target", name) for name in settings.targets)
    if not targets or len({*targets}) < len(targets):
        raise UserError("data.target: expected one or several different columns")
    texts = [marker for marker in settings.missing if math.isnan(parse_plain_number(marker))]
    if len(texts) < len(settings.missing):  # -1, which marks missing inputs, may be a class or a value of the target
        _, collected = _collect(path, dialect, settings, texts)
        statistics = [collected[index] if index in targets else item for index, item in enumerate(statistics)]
    columns = _classify_columns(path, names, statistics, settings, targets)
    _check_inputs(path, [column for column in columns if column.index not in targets])
    first = statistics[targets[0]]
    return Inspection(
        path=path,
        dialect=dialect,
        names=names,
        rows=first.rows,
        columns=columns,
        targets=targets,
        labels=first.counts if len(targets) == 1 else None,
        markers=tuple(sorted(first.markers)),
        whole_target=first.is_whole,
        numeric_target=all(statistics[index].number_rows >= 0.9 * statistics[index].present_rows for index in targets),
    )


def _collect(
    path: Path, dialect: Dialect, settings: InspectionSettings, missing: Sequence[str]
) -> tuple[tuple[str, ...], list[ColumnStatistics]]:
    """Return the column names, empty if there are none, and the statistics of all columns."""
    names: tuple[str, ...] = ()
    statistics: list[ColumnStatistics] = []
    for table in iter_tables(path, dialect):
        if not statistics:
            _check_width(table, settings.dialect)
            names = table.names
            statistics = [ColumnStatistics(missing) for _ in range(table.width)]
        for item, cells in zip(statistics, table.columns, strict=True):
            item.update(cells)
    return names, statistics


def _check_width(table: TextTable, settings: DialectSettings) -> None:
    """Raise an error if a file has only one column."""
    if table.width > 1:
        return
    hint = f"; is data.delimiter={table.dialect.delimiter!r} right?"
    if settings.delimiter is None:
        hint = "; set data.delimiter to the character between the cells, such as '^'"
    if is_excel(table.path):
        hint = "; set data.sheet to the name of the sheet with the table"
    remark = suggest_delimiter(1 + table.dialect.skipped_lines, table.names)
    raise UserError(f"{table.path}: only one column{hint}{remark}")


def _count_empty_columns(names: Sequence[str], statistics: Sequence[ColumnStatistics]) -> int:
    """Return the number of empty columns at the end, which result from delimiters at the ends of lines."""
    used = [index for index, item in enumerate(statistics) if item.present_rows or (names and names[index])]
    return len(statistics) - 1 - max(used, default=len(statistics) - 1)


def _classify_columns(
    path: Path,
    names: Sequence[str],
    statistics: Sequence[ColumnStatistics],
    settings: InspectionSettings,
    targets: Sequence[int],
) -> tuple[Column, ...]:
    width = len(statistics)
    formats = choose_number_format(statistics)
    labels: Sequence[str | None] = names or [None] * width
    columns = [*map(classify_column, range(width), labels, statistics, formats)]
    for key, name in [*(("data.drop", name) for name in settings.drop), *settings.others]:
        index = find_column(path, names, width, key, name)
        if index in targets:
            raise UserError(f"{key}: {path}, {describe_column(names, index)} is data.target too")
        columns[index] = replace(columns[index], kind="ignored", reason=key)
    for name, column in settings.columns:
        index = find_column(path, names, width, "data.columns", _parse_index(names, name))
        columns[index] = replace(column, index=index, name=names[index] if names else "")
    for name, kind in settings.kinds:
        index = find_column(path, names, width, "data.columns", _parse_index(names, name))
        if index in targets:
            message = f"data.columns: {path}, {describe_column(names, index)} is data.target"
            raise UserError(f"{message}; data.task sets the kind of target")
        columns[index] = convert_column(columns[index], kind, statistics[index])
        if kind == "ignored":
            columns[index] = replace(columns[index], reason="data.columns")
        if kind == "date" and columns[index].date_format is None:
            raise UserError(f"data.columns: {path}, {describe_column(names, index)}: no format of dates fits its cells")
    return tuple(columns)


def _parse_index(names: Sequence[str], key: ColumnName) -> ColumnName:
    """Return the index in a key of a config, which is text there, unless a column has this name."""
    return int(key) if isinstance(key, str) and key.isdecimal() and key not in names else key


def _check_inputs(path: Path, columns: Sequence[Column]) -> None:
    """Raise an error if no column is an input; the message contains the reasons."""
    if all(column.kind == "ignored" for column in columns):
        reasons = ", ".join(f"{column.name or column.index} ({column.reason})" for column in columns)
        raise UserError(f"{path}: no column is an input: {reasons or 'all are targets'}; set data.columns.NAME=TYPE")
