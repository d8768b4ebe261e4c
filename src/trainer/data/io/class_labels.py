"""Labels of classes in a column of a CSV file: each becomes the index of its class, or is refused by its line."""

import math
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.csv_file import CsvFile, number_or_nan

LABELS_SHOWN = 20  # of a column with more, nobody wants to list all as classes
INVISIBLE = str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff")


def class_indices(
    file: CsvFile, column: int, names: Sequence[str], *, any_case: bool = False, short: Mapping[str, str] | None = None
) -> list[int]:
    """Return the class index of each cell of a column.

    A cell is the name of a class; numbers are compared by value, so `1.0` is the class `1`. If no class name is a
    number, the whole column may hold the indices 0, 1, ... instead.

    Args:
        file: The file.
        column: Index of the column.
        names: Names of the classes.
        any_case: Whether upper and lower case are the same, unless two class names differ in nothing else.
        short: Other spellings of some class names: `{"neg": "negative"}`.

    Raises:
        UserError: A cell is no class; says its line, and which labels the column has.
    """
    cells = file.cells(column)
    known = _indices(names, any_case, short or {})
    found = {cell: known.get(cell, known.get(label_key(cell, any_case), -1)) for cell in {*cells}}
    counted = {cell: number_or_nan(cell) for cell in found}
    words = all(math.isnan(number_or_nan(name)) for name in names)
    if words and all(number in range(len(names)) for number in counted.values()):
        _check_counted_from_0(file, column, counted, len(names))
        return [int(counted[cell]) for cell in cells]
    wrong = [row for row, cell in enumerate(cells) if found[cell] < 0]
    if wrong:
        # of a column that is nearly all indices, the cell that is none
        row = next((row for row in wrong if counted[cells[row]] not in range(len(names))), wrong[0])
        raise UserError(f"{file.where(row, column)}: {_unlisted(file, row, column, names)}")
    return [found[cell] for cell in cells]


def check_names(names: Sequence[str]) -> None:
    """Raise an error if two classes have one name, or are the same number."""
    for place, name in enumerate(names):
        for other in names[:place]:
            if label_key(name) == label_key(other):
                same = "is listed twice" if name == other else f"and '{other}' are the same"
                raise UserError(f"data.class_names: '{name}' {same}; give each class a name of its own")


def listing(file: CsvFile, column: int) -> str:
    """Return what to set so that all labels of a column become classes; labels that are nearly the same are named."""
    labels = sorted({*file.cells(column)}, key=in_order)
    alike = near_duplicates(labels)
    if alike:
        first, second = (f"'{label}' in line {file.lines[file.cells(column).index(label)]}" for label in alike)
        return f"{first} and {second} are nearly the same label: make them one in the file, or list both as classes"
    return f"set {typed('data.class_names', labels)}"


def typed(key: str, names: Sequence[str]) -> str:
    """Return what to type in a shell to set a key to a list of names."""
    return shlex.quote(f"{key}=[{','.join(map(_quoted, names))}]")


def near_duplicates(labels: Sequence[str]) -> tuple[str, str] | None:
    """Return two labels that differ only in case, blanks, invisible characters or the spelling of a number, if any."""
    seen: dict[str | Decimal, str] = {}
    for label in labels:
        plain = unicodedata.normalize("NFKC", label.translate(INVISIBLE))
        key = label_key(" ".join(plain.split()), any_case=True)
        if key in seen:
            return seen[key], label
        seen[key] = label
    return None


def in_order(label: str) -> tuple[bool, float, str]:
    """Return a key that sorts numbers by their size, and then words."""
    number = number_or_nan(label)
    return math.isnan(number), 0.0 if math.isnan(number) else number, label


def _indices(names: Sequence[str], any_case: bool, short: Mapping[str, str]) -> dict[str | Decimal, int]:
    """Return the class index of each name, and of each key that belongs to one name alone."""
    found: dict[str | Decimal, int] = {name: index for index, name in enumerate(names)}
    keys = [label_key(name, any_case) for name in names]
    unique = {key: index for index, key in enumerate(keys) if keys.count(key) == 1}
    brief = {word: unique[name] for word, name in short.items() if name in unique and word not in keys}
    return brief | unique | found


def label_key(label: str, any_case: bool = False) -> str | Decimal:
    """Return a key that is equal for labels that mean the same: a number by its value, a word in one Unicode form."""
    if math.isfinite(number_or_nan(label)):
        return Decimal(label)
    word = unicodedata.normalize("NFC", label)
    return word.casefold() if any_case else word


def _check_counted_from_0(file: CsvFile, column: int, counted: Mapping[str, float], classes: int) -> None:
    """Raise an error if no label is 0: they may be counted from 1, and each would become another class."""
    if 0 in counted.values():
        return
    labels = sorted(counted, key=in_order)
    listed = ", ".join(labels[:LABELS_SHOWN]) + (", ..." if len(labels) > LABELS_SHOWN else "")
    raise UserError(
        f"data.class_names: {file.path}, {file.place(column)}, has {listed}, but no 0, and classes are counted from 0 "
        f"to {classes - 1}; for the labels of the file: {listing(file, column)}"
    )


def _unlisted(file: CsvFile, row: int, column: int, names: Sequence[str]) -> str:
    """Return what is wrong with a cell that is no class, and what to set."""
    cell = file.rows[row][column]
    if cell == "":
        return "the label is missing; take the row out of the file"
    wrong = f"{cell!r} is not in data.class_names{did_you_mean(cell, names)}"
    if file.lines[row] == file.first:
        return f"{wrong}; if this line names the columns, set data.header=true"
    many = len({*file.cells(column)}) > LABELS_SHOWN
    return wrong if many else f"{wrong}\n  for all labels of the file: {listing(file, column)}"


def _quoted(label: str) -> str:
    """Return a label as Hydra reads it in a list: in quotes if it is not a plain word or a plain number."""
    if re.fullmatch(r"(?!(true|false|null|nan|inf)$)[a-z_][\w.-]*|0|[1-9]\d*", label, re.IGNORECASE | re.ASCII):
        return label
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + ("\\" if found[2] else "") + found[2], label)
    return f'"{escaped}"'.replace("${", "\\${")
