"""Class directories and CSV files of labels as sources of images."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import get_args

from trainer.core.errors import UserError
from trainer.core.override_format import format_list_override
from trainer.data.io.data_path import explain_missing_path, find_path
from trainer.data.io.directory_walk import log_skipped
from trainer.data.io.images.class_folders import (
    find_classes,
    find_images,
    find_split_directories,
    list_unused_directories,
    parse_split_name,
)
from trainer.data.io.images.image_files import MAX_SAMPLED_IMAGES, find_listed_image, iter_image_files
from trainer.data.io.images.image_tables import (
    find_image_column,
    find_label_column,
    find_split_columns,
    read_image_table,
)
from trainer.data.io.images.labeled_images import ImageSource, LabeledImages
from trainer.data.io.tables.class_labels import find_near_duplicates, label_sort_key
from trainer.data.io.tables.table_file import TABLE_SUFFIXES
from trainer.data.loading.split import Stage, validate_classes

MAX_LISTED_FILES = 20
MAX_SAMPLED_CLASSES = 100


class DirectorySource(ImageSource):
    """Images in one directory per class, optionally inside one directory per split.

    Args:
        root: Directory of the data set.
        classes: Names of the class directories to use. Defaults to all.

    Raises:
        UserError: If the directory or a class is missing; see `find_split_directories` and `find_classes`.
    """

    def __init__(self, root: Path, classes: Sequence[str] | None = None) -> None:
        self.root = root
        self.directories = find_split_directories(root, classes)
        names = find_classes(self.directories, listed=classes is not None)
        self.classes = names if classes is None else validate_classes(classes, names)

    def find_images(self) -> dict[Stage, LabeledImages]:
        """Walk the directories; log the number of skipped files."""
        skipped: Counter[str] = Counter()
        images = {
            stage: find_images(directory, self.classes, skipped, self.directories.values())
            for stage, directory in self.directories.items()
        }
        skipped.update(f"directory '{name}'" for name in list_unused_directories(self.root, self.directories))
        log_skipped(self.root, skipped)
        return images

    def sample(self) -> list[str]:
        """Return the first images of at most `MAX_SAMPLED_CLASSES` classes."""
        names = self.classes[:: -(-len(self.classes) // MAX_SAMPLED_CLASSES)]
        count = MAX_SAMPLED_IMAGES // len(names)
        directories = [self.directories["train"] / name for name in names]
        return [file for path in directories for file in islice(iter_image_files(path, Counter()), count)]


class CsvSource(ImageSource):
    """Images that a CSV file lists with their labels, and optionally with their splits.

    The first line contains the column names, unless it already contains the name of an image. Names may lack the
    extension, or be separated by backslashes.

    Args:
        path: The CSV file.
        image_dir: Directory of the images. Defaults to that of the CSV file.
        image_column: Name or index of the column of file names. Defaults to the first one with names of images.
        label_column: Name or index of the column of labels. Defaults to one with a usual name, such as `label`, or to
            the only one with few values.
        split_column: Name or index of the column of splits. Defaults to the only one that contains nothing else.
        delimiter: Delimiter of the cells. Defaults to what is found.
        classes: Labels to use; rows with other labels are left out. Defaults to all.

    Raises:
        UserError: If a column or a class is missing, or a cell is empty or not a split.
    """

    def __init__(
        self,
        path: Path,
        image_dir: Path | None = None,
        *,
        image_column: str | int | None = None,
        label_column: str | int | None = None,
        split_column: str | int | None = None,
        delimiter: str | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.root = path.parent if image_dir is None else image_dir
        self.file = read_image_table(path, self.root, image_column, delimiter)
        self.image_column = find_image_column(self.file, self.root, image_column)
        self.split_column = find_split_columns(self.file, split_column, self.image_column, label_column)
        self.label_column = find_label_column(self.file, label_column, [self.image_column, *self.split_column])
        columns = [self.image_column, self.label_column, *self.split_column]
        if len({*columns}) < len(columns):
            raise UserError(
                f"data.image_column, data.label_column, data.split_column: {path}, "
                f"{self.file.describe_column(columns[-1])} is used twice; expected different columns"
            )
        names = self._find_labels(listed=classes is not None)
        self.classes = names if classes is None else validate_classes(classes, names)

    def find_images(self) -> dict[Stage, LabeledImages]:
        """Return the images in the order of the rows."""
        names = self._find_files()
        stages = self._parse_splits()
        labels = self.file.cells(self.label_column)
        indices = {name: index for index, name in enumerate(self.classes)}
        images: dict[Stage, LabeledImages] = {stage: [] for stage in get_args(Stage) if stage in stages}
        for name, label, stage in zip(names, labels, stages, strict=True):
            if label in indices:
                images[stage].append((str(self.root / name), indices[label]))
        return images

    def sample(self) -> list[str]:
        """Return images from regularly spaced rows."""
        names = self.file.cells(self.image_column)
        sample = names[:: -(-len(names) // MAX_SAMPLED_IMAGES)]
        return [str(self.root / (find_listed_image(self.root, name) or name)) for name in sample]

    def _find_labels(self, *, listed: bool) -> tuple[str, ...]:
        """Return the labels, sorted; numbers by value."""
        cells = self.file.cells(self.label_column)
        if "" in cells:
            raise UserError(f"{self._locate_label('')}: the label is missing; add it")
        names = sorted({*cells}, key=label_sort_key)
        column = f"{self.file.path}, {self.file.describe_column(self.label_column)}"
        if len(names) < 2:
            raise UserError(f"data.label_column: {column}: every label is '{names[0]}'; expected two or more classes")
        if len(names) == len(cells) > 2:
            raise UserError(
                f"data.label_column: {column}: every label is different; expected the column of the classes"
            )
        if not listed and (alike := find_near_duplicates(names)):
            first, second = (f"'{label}' in {self._locate_label(label)}" for label in alike)
            raise UserError(
                f"{first} and {second} are nearly the same label; make them one in the file, or list both: "
                f"{format_list_override('data.classes', names)}"
            )
        return tuple(names)

    def _locate_label(self, label: str) -> str:
        """Return the position of the first cell with a label."""
        return self.file.locate(self.file.cells(self.label_column).index(label), self.label_column)

    def _find_files(self) -> list[str]:
        """Return the path of the image of each row; raise an error if one does not exist or is listed twice."""
        names = self.file.cells(self.image_column)
        files = [find_listed_image(self.root, name) for name in names]
        missing = [row for row, file in enumerate(files) if file is None]
        if missing:
            lines = [f"{self._locate_image(row)}: '{names[row]}'" for row in missing[:MAX_LISTED_FILES]]
            others = f"\n  and {len(missing) - len(lines):,} more" if len(missing) > len(lines) else ""
            raise UserError(
                f"data.path: {self.file.path} lists {len(missing):,} files that are not in '{self.root}'; set "
                "data.image_dir to the directory of the images\n  " + "\n  ".join(lines) + others
            )
        found = [file for file in files if file is not None]
        first_rows: dict[str, int] = {}
        for row, file in enumerate(found):
            first = first_rows.setdefault(os.path.normpath(file), row)
            if first != row:
                raise UserError(
                    f"{self._locate_image(row)}: '{names[row]}' is listed twice, also in {self._locate_image(first)}; "
                    "remove one of them"
                )
        return found

    def _locate_image(self, row: int) -> str:
        return self.file.locate(row, self.image_column)

    def _parse_splits(self) -> list[Stage]:
        """Return the split of each row; without a split column, all are for training."""
        stages: list[Stage] = ["train"] * len(self.file.cells(self.image_column))
        for column in self.split_column:
            for row, cell in enumerate(self.file.cells(column)):
                stage = parse_split_name(cell)
                if stage is None:
                    where = self.file.locate(row, column)
                    raise UserError(f"{where}: '{cell}' is not a split; expected train, val or test")
                stages[row] = stage
        return stages


@dataclass(frozen=True)
class ImageTableSettings:
    """Settings of the user about a CSV file of labels; None if not set. See `CsvSource`."""

    image_dir: str | None
    image_column: str | int | None
    label_column: str | int | None
    split_column: str | int | None
    delimiter: str | None


def open_source(root: str, path: str, classes: Sequence[str] | None, table: ImageTableSettings) -> ImageSource:
    """Return the source of a directory or a CSV file; see `DirectorySource` and `CsvSource`.

    Args:
        root: Base directory.
        path: Path of the directory or the file.
        classes: Names of the classes to use. None: all.
        table: Settings of a CSV file.

    Raises:
        UserError: If the path is another file, or a setting of CSV files is set for a directory.
    """
    file = find_path(path, root)
    if not file.is_file():
        if not file.exists():
            raise UserError(
                f"{explain_missing_path(path, root, 'directory')}\n  To run without images: data.synthetic=true"
            )
        for name, value in vars(table).items():
            if value is not None:
                raise UserError(f"data.{name}: '{file}' is a directory, not a table of labels; leave it out")
        return DirectorySource(file, classes)
    if not file.name.lower().endswith((*TABLE_SUFFIXES, ".txt")):
        raise UserError(f"data.path: '{file}' is a file; expected a directory of images, or a CSV file of their labels")
    image_dir = None if table.image_dir is None else find_path(table.image_dir, root)
    return CsvSource(file, **{**vars(table), "image_dir": image_dir}, classes=classes)
