"""Tables of image files and their labels: the columns, and whether the first line contains their names."""

from collections.abc import Sequence
from pathlib import Path

from trainer.core.errors import UserError
from trainer.data.io.images.class_folders import parse_split_name
from trainer.data.io.images.image_files import IMAGE_EXTENSIONS, find_listed_image
from trainer.data.io.tables.dialect_detection import DialectSettings, detect_dialect, refuse_unused_settings
from trainer.data.io.tables.table_file import read_table
from trainer.data.io.tables.text_table import TextTable
from trainer.data.io.texts.text_columns import choose_label_column


def read_image_table(path: Path, directory: Path, image_column: str | int | None, delimiter: str | None) -> TextTable:
    """Read a table; its first line contains the column names, unless it already contains the name of an image.

    Args:
        path: The table.
        directory: Directory of the images.
        image_column: Name or index of the column of file names; None: any column.
        delimiter: Delimiter of the cells; None detects it.
    """
    refuse_unused_settings(path, DialectSettings(delimiter=delimiter))
    dialect = detect_dialect(path, DialectSettings(delimiter=delimiter, header=False))
    table = read_table(path, dialect)
    if not isinstance(image_column, str):
        columns = range(table.width) if image_column is None else [table.index("data.image_column", image_column)]
        if any(_is_image(directory, table.cell(0, column)) for column in columns):
            return table
    return table.use_first_row_as_names()


def find_image_column(table: TextTable, directory: Path, column: str | int | None) -> int:
    """Return the index of a column; None is the first one with the name of an image, or else the first one."""
    if column is None:
        images = (index for index in range(table.width) if _is_image(directory, table.cell(0, index)))
        column = next(images, 0)
    return table.index("data.image_column", column)


def find_split_columns(
    table: TextTable, column: str | int | None, image_column: int, label_column: str | int | None
) -> list[int]:
    """Return the index of the column of splits, if there is one; None is the only one with names of splits alone.

    Args:
        table: The table.
        column: Name or index.
        image_column: Index of the column of file names.
        label_column: Name or index of the column of labels; None if it is not set.
    """
    if column is not None:
        return [table.index("data.split_column", column)]
    used = [image_column] if label_column is None else [image_column, table.index("data.label_column", label_column)]
    others = [index for index in range(table.width) if index not in used]
    found = [index for index in others if all(map(parse_split_name, table.cells(index)))]
    return found if len(found) == 1 and (label_column is not None or len(others) > 1) else []


def find_label_column(table: TextTable, column: str | int | None, used: Sequence[int]) -> int:
    """Return the index of a column; None is the column of labels.

    Args:
        table: The table.
        column: Name or index.
        used: Columns that contain no labels.

    Raises:
        UserError: If there is no such column, or several are possible.
    """
    if column is not None:
        return table.index("data.label_column", column)
    others = [index for index in range(table.width) if index not in used]
    if not others:
        raise UserError(f"data.label_column: {table.path}: no column besides the images; add one of the labels")
    return others[0] if len(others) == 1 else choose_label_column(table, others)


def _is_image(directory: Path, cell: str) -> bool:
    return cell.lower().endswith(IMAGE_EXTENSIONS) or find_listed_image(directory, cell) is not None
