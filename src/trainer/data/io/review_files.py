"""Texts with classes, read from a directory of text files or from a CSV file."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from trainer.core.errors import UserError
from trainer.data.io.class_labels import encode_labels
from trainer.data.io.directory_walk import list_files, list_subdirectories, log_skipped
from trainer.data.io.table_file import TextTable
from trainer.data.io.tokenization import is_empty, normalize_text
from trainer.data.loading.counter_rng import make_generator

log = logging.getLogger(__name__)

CLASS_DIRECTORIES = ("neg", "pos")  # in the order of the classes
LABEL_ALIASES = {"neg": "negative", "pos": "positive"}


class Reviews(NamedTuple):
    """Texts and their class indices."""

    texts: list[str]
    classes: list[int]

    def select(self, rows: Iterable[int]) -> "Reviews":
        """Return the reviews at the indices `rows`, in that order."""
        rows = list(rows)
        return Reviews([self.texts[row] for row in rows], [self.classes[row] for row in rows])


def read_tree(directory: Path, count: int | None) -> Reviews:
    """Read `neg/*.txt` and `pos/*.txt` in the order of the numbers in the file names.

    Args:
        directory: Directory such as `aclImdb/train`.
        count: Expected number of files in each of the two subdirectories; None accepts any.

    Raises:
        UserError: If a directory is missing or has another number of files, or a file is empty or not UTF-8 text.
    """
    reviews = Reviews([], [])
    for index, name in enumerate(CLASS_DIRECTORIES):
        subdirectory = directory / name
        if not subdirectory.is_dir():
            raise UserError(
                f"{subdirectory} is missing. Reviews are .txt files in train/neg, train/pos, test/neg and test/pos; "
                "fix that, or set data.path to their directory"
            )
        files = sorted(list_files(subdirectory, lambda file: file.suffix == ".txt"), key=_review_sort_key)
        if count and len(files) != count:
            raise UserError(
                f"{subdirectory}: {len(files)} reviews, expected {count}. Move {directory.parent} away and run again "
                "to unpack the published reviews; to read these reviews, rename the directory and set data.path"
            )
        if not files:
            raise UserError(f"{subdirectory}: no reviews; expected .txt files")
        reviews.texts.extend(map(read_text, files))
        reviews.classes.extend([index] * len(files))
    others = [name for name in list_subdirectories(directory) if name not in CLASS_DIRECTORIES]
    log_skipped(directory, Counter(f"directory '{name}'" for name in others))
    return reviews


def _review_sort_key(file: Path) -> tuple[int, str]:
    """Return the number before the underscore, as in `127_7.txt`, and the name."""
    number = file.name.partition("_")[0]
    return (int(number) if number.isdecimal() else 0), file.name


def read_text(file: Path) -> str:
    """Read the text of one review.

    Raises:
        UserError: If the file is empty, not in UTF-8, or cannot be read.
    """
    try:
        text = file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text ({error}); save it in UTF-8, or remove it") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    if is_empty(text):
        raise UserError(f"{file}: an empty review; remove it")
    return text


def parse_reviews(
    file: TextTable, text_column: str | int, label_column: str | int, class_names: Sequence[str]
) -> Reviews:
    """Return the reviews of a CSV file.

    Args:
        file: The file.
        text_column: Name or index of the text column.
        label_column: Name or index of the label column.
        class_names: Labels of the classes, in any case; `neg` and `pos` mean `negative` and `positive`. If no name is
            a number, the column may contain the indices 0, 1, ... instead.

    Raises:
        UserError: If a column is missing, a text is empty, a label is unknown, or all labels are the same.
    """
    text_index = file.index("data.text_column", text_column)
    label_index = file.index("data.label_column", label_column)
    if text_index == label_index:
        raise UserError(f"data.label_column: {file.path}, {file.describe_column(label_index)} is data.text_column too")
    classes = encode_labels(file, label_index, class_names, any_case=True, short=LABEL_ALIASES)
    texts = file.cells(text_index)
    for row, text in enumerate(texts):
        if is_empty(text):
            raise UserError(f"{file.locate(row, text_index)}: the text is empty; remove the row from the file")
    if len(set(classes)) == 1:
        column = f"{file.path}, {file.describe_column(label_index)}"
        raise UserError(f"{column}: every review is {class_names[classes[0]]}; need at least two classes")
    return Reviews(texts, classes)


def contiguous_split(reviews: Reviews, size: int, seed: int) -> tuple[Reviews, Reviews]:
    """Split off a contiguous range of each class: `size` reviews in all; return them and the rest.

    In the official numbering, reviews of one film are neighbors, and training and test have different films. After a
    random split, a network that memorizes films would have better results in validation than in the test.

    Args:
        reviews: Reviews, ordered by number within each class.
        size: Number of reviews to split off, about equally many of each class.
        seed: Seed of the start of the ranges.

    Raises:
        UserError: If a class has too few reviews.
    """
    selected: set[int] = set()
    classes = sorted(set(reviews.classes))
    for index in classes:
        rows = [row for row, class_index in enumerate(reviews.classes) if class_index == index]
        count = size * (index + 1) // len(classes) - size * index // len(classes)
        if not 0 < count < len(rows):
            raise UserError(
                f"data.val_size: {size} needs {count} of the {len(rows)} training reviews of a class; expected at "
                f"least one, and fewer than all"
            )
        generator = make_generator("run", seed, index)
        start = int(torch.randint(len(rows) - count + 1, (), generator=generator))
        selected.update(rows[start : start + count])
    rest = (row for row in range(len(reviews.texts)) if row not in selected)
    return reviews.select(sorted(selected)), reviews.select(rest)


def drop_duplicates(reviews: Reviews, elsewhere: Sequence[str] = ()) -> Reviews:
    """Return the first review with each text, without texts that are in `elsewhere`; log the number of dropped ones."""
    excluded = {normalize_text(text) for text in elsewhere}
    keys = [normalize_text(text) for text in reviews.texts]
    first_rows: dict[str, int] = {}
    for row, key in enumerate(keys):
        first_rows.setdefault(key, row)
    conflicts = sum(reviews.classes[row] != reviews.classes[first_rows[key]] for row, key in enumerate(keys))
    if conflicts:
        log.warning("%d reviews repeat the text of another with another label; the first label is used", conflicts)
    unique = [row for key, row in first_rows.items() if key not in excluded]
    repeats = len(reviews.texts) - len(first_rows)
    leaks = len(first_rows) - len(unique)
    if repeats or leaks:
        suffix = f" and {leaks} that are also in the test" if elsewhere else ""
        log.info("dropped of %d reviews: %d that repeat another%s", len(reviews.texts), repeats, suffix)
    return reviews.select(unique)
