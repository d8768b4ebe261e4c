"""Users' texts and labels in the columns of tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import overload

from trainer.data.io.compressed_file import open_content
from trainer.data.io.tables.class_labels import encode_labels
from trainer.data.io.tables.dialect_detection import DialectSettings, detect_dialect, refuse_unused_settings
from trainer.data.io.tables.table_file import read_table
from trainer.data.io.tables.table_rows import WHITESPACE, Dialect, is_delimited, open_text
from trainer.data.io.tables.text_table import TextTable
from trainer.data.io.texts.text_columns import find_text_columns, infer_class_names
from trainer.data.io.texts.text_source import RawTexts, TextSource
from trainer.data.loading.split import Stage

SINGLE_COLUMN = "\x1f"  # a delimiter that texts do not contain
LABEL_ALIASES = {"neg": "negative", "pos": "positive"}


class TextTables(TextSource):
    """Tables with a text column and a label column: one for training, and optionally for the other splits.

    Args:
        paths: File of each split.
        settings: Parts of the dialect that the user has set.
        text_column: Name or index of the text column. None infers it.
        label_column: Name or index of the label column. None infers it.
    """

    def __init__(
        self,
        paths: Mapping[Stage, Path],
        settings: DialectSettings,
        text_column: str | int | None,
        label_column: str | int | None,
    ) -> None:
        self.paths = paths
        self.settings = settings
        self.text_column = text_column
        self.label_column = label_column

    @property
    def class_names(self) -> tuple[str, ...]:
        return infer_class_names(self._table, self._indices[1])

    @property
    def columns(self) -> dict[str, str | int]:
        text, label = map(self._table.name_or_index, self._indices)
        return {"text_column": text, "label_column": label}

    @property
    def has_header(self) -> bool:
        return bool(self._table.names)

    def read(self) -> dict[Stage, RawTexts]:
        names = self._table.names
        tables = {
            stage: self._table if stage == "train" else self._read_file(path, names)
            for stage, path in self.paths.items()
        }
        return {stage: self._select(table) for stage, table in tables.items()}

    @cached_property
    def _table(self) -> TextTable:
        refuse_unused_settings(self.paths["train"], self.settings)
        names = [column for column in (self.text_column, self.label_column) if isinstance(column, str)]
        return self._read_file(self.paths["train"], names)

    @cached_property
    def _indices(self) -> tuple[int, int]:
        return find_text_columns(self._table, self.text_column, self.label_column)

    def _read_file(self, path: Path, names: Sequence[str]) -> TextTable:
        return read_table(path, detect_text_dialect(path, self.settings, names))

    def _select(self, table: TextTable) -> RawTexts:
        text, label = (table.index(f"data.{key}", column) for key, column in self.columns.items())
        return RawTexts(
            table.cells(text),
            table.cells(label),
            lambda row, is_label: table.locate(row, label if is_label else text),
            lambda rows, names: encode_labels(
                select_rows(table, rows), label, names, any_case=True, short=LABEL_ALIASES
            ),
        )


def detect_text_dialect(path: Path, settings: DialectSettings, names: Sequence[str]) -> Dialect:
    """Return how a table with texts is stored in its file: blanks do not delimit its columns, and some may be nested.

    Args:
        path: The file.
        settings: Parts of the dialect that are known.
        names: Column names; a first line that is one of them is the header of a single column.

    Raises:
        UserError: If the file is empty or cannot be read.
    """
    dialect = detect_dialect(path, settings, names, can_be_nested=True)
    if settings.delimiter is None and is_delimited(path):
        is_single = dialect.delimiter == WHITESPACE or _read_first_line(path, dialect) in names
        if is_single:
            return detect_dialect(path, replace(settings, delimiter=SINGLE_COLUMN), names)
    return dialect


def _read_first_line(path: Path, dialect: Dialect) -> str:
    with open_content(path) as stream, open_text(stream, dialect.encoding) as text:
        return text.readline().strip().strip(dialect.quote)


class _SelectedLines(Sequence[int]):
    """Lines of some rows of a table, which are found only for a message."""

    def __init__(self, table: TextTable, rows: Sequence[int]) -> None:
        self.table = table
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        return self.table.find_line(self.rows[index]) if isinstance(index, int) else [*self][index]


def select_rows(table: TextTable, rows: Sequence[int]) -> TextTable:
    """Return some rows of a table, with their lines in the file."""
    if len(rows) == len(table):
        return table
    import pyarrow

    indices = pyarrow.array(rows, pyarrow.int64())
    columns = [column.take(indices) for column in table.columns]
    return replace(table, columns=columns, lines=_SelectedLines(table, rows))
