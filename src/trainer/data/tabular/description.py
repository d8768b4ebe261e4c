"""Result of an inspection as text for the log, and as settings for the config of a run."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from trainer.core.mappings import group_pairs
from trainer.data.tabular.columns import Column, list_column_fields
from trainer.data.tabular.inspection import Inspection

MAX_LISTED = 5


def list_settings(inspection: Inspection) -> dict[str, Any]:
    """Return the settings of `Table` that give the same columns again, also for another file.

    Those of the format are not among them, because another file may have another format.
    """
    columns = {
        item.name if inspection.names else str(item.index): _list_fields(item)
        for item in inspection.columns
        if item.index not in inspection.targets and (not inspection.names or inspection.names.count(item.name) == 1)
    }
    return {"columns": columns}


def _list_fields(column: Column) -> dict[str, Any]:
    """Return the fields of a column without those that another file may change."""
    return {name: value for name, value in list_column_fields(column).items() if name not in ("index", "name")}


def describe_inspection(inspection: Inspection, class_names: Sequence[str]) -> str:
    """Return what was found in a file, in a few lines."""
    dialect = inspection.dialect
    storage = [
        f"delimiter {dialect.delimiter!r}" if dialect.delimiter != "," else "",
        f"encoding {dialect.encoding}" if dialect.encoding != "utf-8" else "",
        f"skipped lines: {dialect.skipped_lines}" if dialect.skipped_lines else "",
        "" if dialect.header else "no column names",
    ]
    counts = Counter(column.kind for column in inspection.inputs)
    inputs = ", ".join(f"{count} {_pluralize(kind, count)}" for kind, count in counts.most_common())
    targets = ", ".join(inspection.describe_column(index).removeprefix("column ") for index in inspection.targets)
    classes = f", classes {', '.join(class_names[:MAX_LISTED])}" + (", ..." if len(class_names) > MAX_LISTED else "")
    if inspection.numeric_target and len(class_names) > 2:
        classes += " (for values instead: data.task=regression)"
    columns = [column for column in inspection.columns if column.index not in inspection.targets]
    ignored = group_pairs(
        (column.reason, column.name or f"column {column.index}") for column in columns if column.kind == "ignored"
    )
    lines = [
        ", ".join([f"{inspection.path}: {inspection.rows:,} rows", *filter(None, storage)]),
        f"target {targets}{classes if class_names else ', values'}; inputs: {inputs}",
        *(f"ignored, {reason}: {', '.join(names)}" for reason, names in ignored.items()),
    ]
    return "\n  ".join(lines)


def _pluralize(kind: str, count: int) -> str:
    if count == 1:
        return kind
    return "categories" if kind == "category" else f"{kind}s"
