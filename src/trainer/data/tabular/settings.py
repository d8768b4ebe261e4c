"""Settings of `Table` that control the inspection of a file."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.data.io.tables.dialect_detection import DialectSettings
from trainer.data.tabular.columns import restore_column, validate_kind
from trainer.data.tabular.inspection import ColumnName, InspectionSettings


def make_settings(
    dialect: DialectSettings,
    target: ColumnName | Sequence[ColumnName],
    drop: ColumnName | Sequence[ColumnName],
    columns: Mapping[ColumnName, Any],
    group_column: ColumnName | None,
    weight_column: ColumnName | None,
    missing: str | Sequence[str],
) -> InspectionSettings:
    """Return the settings of an inspection.

    Args:
        dialect: Format of the file.
        target: Name or index of the target column, or several.
        drop: Column to leave out, or several.
        columns: Type of each column, or all its fields.
        group_column: Column of the groups that are not split.
        weight_column: Column of the weights of the rows.
        missing: Cell that marks a missing value, or several.

    Raises:
        UserError: If a type or a field of a column is unknown.
    """
    kinds, complete = [], []
    for name, value in columns.items():
        if isinstance(value, str):
            validate_kind(value)
            kinds.append((name, value))
        else:
            complete.append((name, restore_column(value)))
    others = {"data.group_column": group_column, "data.weight_column": weight_column}
    return InspectionSettings(
        dialect,
        targets=_list(target),
        drop=_list(drop),
        kinds=tuple(kinds),  # type: ignore[arg-type]  # validated
        columns=tuple(complete),
        others=tuple((key, name) for key, name in others.items() if name is not None),
        missing=_list(missing),
    )


def _list(values: Any) -> tuple[Any, ...]:
    """Return one value, or several ones, as a tuple."""
    return (values,) if isinstance(values, str | int) else tuple(values)
