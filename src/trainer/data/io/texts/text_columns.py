"""Inference of the text column and the label column of a table from column names and content."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from unicodedata import category

from trainer.core.errors import UserError
from trainer.core.override_format import format_list_override
from trainer.data.io.data_path import is_url
from trainer.data.io.tables.class_labels import explain_near_duplicates, find_near_duplicates, label_sort_key
from trainer.data.io.tables.header_detection import is_missing
from trainer.data.io.tables.table_rows import NESTED
from trainer.data.io.tables.text_table import TextTable

TEXT_NAMES = frozenset(
    {
        *("text", "texts", "review", "reviews", "reviewtext", "sentence", "sentences", "content", "contents"),
        *("comment", "comments", "commenttext", "message", "messages", "tweet", "body", "document", "doc"),
        *("description", "utterance", "post", "headline", "question"),
    }
)
LABEL_NAMES = frozenset(
    {
        *("label", "labels", "class", "classes", "classindex", "category", "categories", "sentiment", "target"),
        *("targets", "topic", "polarity", "intent", "emotion", "rating", "stars", "score", "y"),
    }
)
SAMPLE_ROWS = 1000  # rows whose letters are counted
LENGTH_RATIO = 2.0  # of the longest texts to those of all other columns; less is ambiguous
MIN_LETTERS = 3.0  # mean number of letters of a text
MIN_FILLED = 0.5  # of the rows of a column of labels


@dataclass(frozen=True)
class _Column:
    """Facts of a column: whether few values occur often, and the mean number of letters of a cell."""

    index: int
    name: str
    distinct: int
    has_few_values: bool
    letters: float


def find_text_columns(table: TextTable, text: str | int | None, label: str | int | None) -> tuple[int, int]:
    """Return the indices of the text column and of the label column.

    Columns with a usual name, such as `text` and `label`, are preferred. Otherwise the text column is the one with the
    longest texts, and the label column is the only one with few values.

    Args:
        table: The table.
        text: Name or index of the text column. None infers it.
        label: Name or index of the label column. None infers it.

    Raises:
        UserError: If a column is missing, or several columns are possible.
    """
    if table.width < 2:
        raise UserError(f"{table.path}: only one column; expected texts and labels. If it has more, set data.delimiter")
    text_index = None if text is None else table.index("data.text_column", text)
    label_index = None if label is None else table.index("data.label_column", label)
    nested = [index for index in range(table.width) if NESTED in table.column(index)[:1].to_pylist()]
    if table.width - len(nested) < 2:
        table.cells(nested[0])  # raises an error
    columns = [_describe(table, index) for index in range(table.width) if index not in nested]
    if text_index is None:
        text_index = _find_text(table, [column for column in columns if column.index != label_index])
    if label_index is None:
        label_index = _find_label(table, [column for column in columns if column.index != text_index])
    if text_index == label_index:
        raise UserError(
            f"data.label_column: {table.path}, {table.describe_column(label_index)} is data.text_column too"
        )
    return text_index, label_index


def choose_label_column(table: TextTable, indices: Sequence[int]) -> int:
    """Return the index of the label column among some columns: one with a usual name, or the only one with few values.

    Raises:
        UserError: If several columns are possible.
    """
    return _find_label(table, [_describe(table, index) for index in indices])


def infer_class_names(table: TextTable, column: int) -> tuple[str, ...]:
    """Return the labels of a column in their natural order: numbers by value, then others alphabetically.

    Args:
        table: The table.
        column: Index of the label column.

    Raises:
        UserError: If there is only one label, nearly equal ones, or too many to be classes.
    """
    cells = table.cells(column)
    labels = sorted({cell for cell in cells if not is_missing(cell)}, key=label_sort_key)
    position = f"data.label_column: {table.path}, {table.describe_column(column)}"
    if len(labels) == 1:
        markers = sorted({*cells} - {*labels, ""}, key=label_sort_key)
        override = format_list_override("data.class_names", [*markers, *labels])
        hint = f"; if '{markers[0]}' is not a missing label but a class: {override}" if markers else ""
        raise UserError(f"{position}: every label is '{labels[0]}'; need at least two classes{hint}")
    if not labels or 2 * len(labels) > len(cells):
        problem = f"{len(labels)} different labels in {len(cells)} rows"
        raise UserError(f"{position} has {problem}; expected classes. Set data.label_column to another column")
    if alike := find_near_duplicates(labels):
        reason = explain_near_duplicates(table, column, alike)
        raise UserError(f"{position}: {reason}: {format_list_override('data.class_names', labels)}")
    return tuple(labels)


def _describe(table: TextTable, index: int) -> _Column:
    from pyarrow import compute

    values = table.column(index)
    distinct = compute.count_distinct(values).as_py()
    sample = values.slice(0, SAMPLE_ROWS).to_pylist()
    letters = fmean(sum(map(_is_letter, cell)) if not is_url(cell) else 0 for cell in sample)
    is_filled = fmean(cell != "" for cell in sample) > MIN_FILLED
    name = table.names[index] if table.names else ""
    has_few_values = is_filled and 1 < distinct <= len(values) // 2
    return _Column(index, name, distinct, has_few_values, letters)


def _is_letter(character: str) -> bool:
    """Return whether a character is a letter or an emoji."""
    return character.isalpha() or category(character) == "So"


def _normalize_name(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _find_text(table: TextTable, columns: Sequence[_Column]) -> int:
    """Return the index of the text column."""
    with_letters = [column for column in columns if column.letters >= MIN_LETTERS]
    candidates = [column for column in with_letters if _normalize_name(column.name) in TEXT_NAMES]
    candidates = candidates or [column for column in with_letters if 2 * column.distinct > len(table)] or with_letters
    candidates = sorted(candidates, key=lambda column: -column.letters)
    is_clear = len(candidates) == 1 or (
        len(candidates) > 1 and candidates[0].letters >= LENGTH_RATIO * candidates[1].letters
    )
    if not is_clear:
        raise UserError(_explain_choice(table, "data.text_column", candidates or columns, "texts"))
    return candidates[0].index


def _find_label(table: TextTable, columns: Sequence[_Column]) -> int:
    """Return the index of the label column."""
    usual = [column for column in columns if _normalize_name(column.name) in LABEL_NAMES]
    candidates = [column for column in usual if column.has_few_values or column.distinct == 1]
    candidates = candidates or [column for column in columns if column.has_few_values] or usual
    if not candidates and len(columns) == 1:
        candidates = [*columns]
    if len(candidates) != 1:
        raise UserError(_explain_choice(table, "data.label_column", candidates or columns, "labels"))
    return candidates[0].index


def _explain_choice(table: TextTable, key: str, columns: Sequence[_Column], kind: str) -> str:
    """Return the message for several possible columns."""
    listed = ", ".join(f"{table.describe_column(column.index)} ({column.distinct} values)" for column in columns)
    first = columns[0]
    value = table.name_or_index(first.index)
    return (
        f"{key}: {table.path}: which column contains the {kind}? Possible are: {listed}\n  set it, e.g. {key}={value}"
    )
