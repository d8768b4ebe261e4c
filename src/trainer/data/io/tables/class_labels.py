"""Class labels in a column of a CSV file, encoded as class indices."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal

from trainer.core.errors import UserError, did_you_mean
from trainer.core.override_format import format_list_override
from trainer.data.io.tables.number_format import INVISIBLE_CHARACTERS, parse_plain_number
from trainer.data.io.tables.text_table import TextTable

MAX_LISTED_LABELS = 20  # a column with more labels is probably not a class column


def encode_labels(
    file: TextTable,
    column: int,
    names: Sequence[str],
    *,
    any_case: bool = False,
    short: Mapping[str, str] | None = None,
) -> list[int]:
    """Return the class index of each cell of a column.

    A cell is the name of a class; numbers are compared by value, so `1.0` is the class `1`. If no class name is a
    number, the whole column may contain the indices 0, 1, ... instead.

    Args:
        file: The file.
        column: Index of the column.
        names: Class names.
        any_case: Whether case is ignored, unless two class names differ only in case.
        short: Aliases of class names: `{"neg": "negative"}`.

    Raises:
        UserError: If a cell is not a class; the message has its line and the labels of the column.
    """
    cells = file.cells(column)
    index = _build_label_index(names, any_case, short or {})
    codes = {cell: index.get(cell, index.get(normalize_label(cell, any_case), -1)) for cell in {*cells}}
    numbers = {cell: parse_plain_number(cell) for cell in codes}
    has_numeric_name = any(not math.isnan(parse_plain_number(name)) for name in names)
    if not has_numeric_name and all(number in range(len(names)) for number in numbers.values()):
        _check_zero_based(file, column, numbers, len(names))
        return [int(numbers[cell]) for cell in cells]
    unknown = [row for row, cell in enumerate(cells) if codes[cell] < 0]
    if unknown:
        # if most cells are indices, report the cell that is not one
        row = next((row for row in unknown if numbers[cells[row]] not in range(len(names))), unknown[0])
        raise UserError(f"{file.locate(row, column)}: {_explain_unknown_label(file, row, column, names)}")
    return [codes[cell] for cell in cells]


def validate_class_names(names: Sequence[str]) -> None:
    """Raise an error if two class names are equal, or are the same number."""
    for index, name in enumerate(names):
        for other in names[:index]:
            if normalize_label(name) == normalize_label(other):
                reason = "is listed twice" if name == other else f"and '{other}' are the same"
                raise UserError(f"data.class_names: '{name}' {reason}; expected different names")


def suggest_class_names(file: TextTable, column: int) -> str:
    """Return the override that makes all labels of a column classes, or a warning about nearly equal labels."""
    labels = sorted({*file.cells(column)}, key=label_sort_key)
    if alike := find_near_duplicates(labels):
        return explain_near_duplicates(file, column, alike)
    return f"set {format_list_override('data.class_names', labels)}"


def explain_near_duplicates(file: TextTable, column: int, labels: tuple[str, str]) -> str:
    """Return the message about two labels of a column that are nearly equal."""
    first, second = (f"'{label}' in line {file.find_line(file.cells(column).index(label))}" for label in labels)
    return f"{first} and {second} are nearly the same label: make them one in the file, or list both as classes"


def find_near_duplicates(labels: Sequence[str]) -> tuple[str, str] | None:
    """Return two labels that differ only in case, blanks, invisible characters or number format, or None."""
    labels_by_key: dict[str | Decimal, str] = {}
    for label in labels:
        text = unicodedata.normalize("NFKC", label.translate(INVISIBLE_CHARACTERS))
        key = normalize_label(" ".join(text.split()), any_case=True)
        if key in labels_by_key:
            return labels_by_key[key], label
        labels_by_key[key] = label
    return None


def label_sort_key(label: str) -> tuple[bool, float, str]:
    """Return a key that sorts numbers by value, before other labels."""
    number = parse_plain_number(label)
    return math.isnan(number), 0.0 if math.isnan(number) else number, label


def _build_label_index(names: Sequence[str], any_case: bool, short: Mapping[str, str]) -> dict[str | Decimal, int]:
    """Return the class index of each name, and of each normalized name or alias that is unambiguous."""
    exact: dict[str | Decimal, int] = {name: index for index, name in enumerate(names)}
    keys = [normalize_label(name, any_case) for name in names]
    unique = {key: index for index, key in enumerate(keys) if keys.count(key) == 1}
    aliases = {alias: unique[name] for alias, name in short.items() if name in unique and alias not in keys}
    return aliases | unique | exact


def normalize_label(label: str, any_case: bool = False) -> str | Decimal:
    """Return a key that is equal for equivalent labels: the value of a number, or text in Unicode form NFC."""
    if math.isfinite(parse_plain_number(label)):
        return Decimal(unicodedata.normalize("NFKC", label))
    text = unicodedata.normalize("NFC", label)
    return text.casefold() if any_case else text


def _check_zero_based(file: TextTable, column: int, numbers: Mapping[str, float], classes: int) -> None:
    """Raise an error if no label is 0: labels counted from 1 would be shifted by one class."""
    if 0 in numbers.values():
        return
    labels = sorted(numbers, key=label_sort_key)
    listed = ", ".join(labels[:MAX_LISTED_LABELS]) + (", ..." if len(labels) > MAX_LISTED_LABELS else "")
    raise UserError(
        f"data.class_names: {file.path}, {file.describe_column(column)}, has {listed}, but no 0, and classes are "
        f"counted from 0 to {classes - 1}; for the labels of the file: {suggest_class_names(file, column)}"
    )


def _explain_unknown_label(file: TextTable, row: int, column: int, names: Sequence[str]) -> str:
    cell = file.cell(row, column)
    if cell == "":
        return "the label is missing; remove the row from the file"
    message = f"{cell!r} is not in data.class_names{did_you_mean(cell, names)}"
    if file.is_first_row(row):
        return f"{message}; if this line contains the column names, set data.header=true"
    has_many = len({*file.cells(column)}) > MAX_LISTED_LABELS
    return message if has_many else f"{message}\n  for all labels of the file: {suggest_class_names(file, column)}"
