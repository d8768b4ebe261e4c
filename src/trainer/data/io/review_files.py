"""Reviews: texts and their classes, read from a tree of small files or from a CSV file."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from trainer.core.errors import UserError
from trainer.data.io.class_labels import class_indices
from trainer.data.io.csv_file import CsvFile
from trainer.data.io.csv_header import check_header
from trainer.data.io.directory_walk import files_of, log_skipped, subdirectories
from trainer.data.io.tokenization import is_empty, same
from trainer.data.loading.counter_rng import generator_for

log = logging.getLogger(__name__)

FOLDERS = ("neg", "pos")  # in the order of the classes
SHORT = {"neg": "negative", "pos": "positive"}  # what is written for a class as well as its name


class Reviews(NamedTuple):
    """Texts, and the class of each."""

    texts: list[str]
    classes: list[int]

    def take(self, rows: Iterable[int]) -> "Reviews":
        """The chosen ones, in that order."""
        chosen = list(rows)
        return Reviews([self.texts[row] for row in chosen], [self.classes[row] for row in chosen])


def read_tree(folder: Path, promised: int | None) -> Reviews:
    """Read the files `neg/*.txt` and `pos/*.txt` of a folder, in the order of the numbers in their names.

    Args:
        folder: E.g. `aclImdb/train`.
        promised: Files in each of the two folders, where that is known.

    Raises:
        UserError: A folder is missing or does not hold what was promised; a file is empty or not text in UTF-8.
    """
    reviews = Reviews([], [])
    for number, name in enumerate(FOLDERS):
        part = folder / name
        if not part.is_dir():
            raise UserError(
                f"{part} is missing. Reviews lie as .txt files in train/neg, train/pos, test/neg and test/pos; "
                "mend that, or say by data.path where they are"
            )
        files = sorted(files_of(part, lambda file: file.suffix == ".txt"), key=_in_order)
        if promised and len(files) != promised:
            raise UserError(
                f"{part}: {len(files)} reviews, expected {promised}. Move {folder.parent} elsewhere and run again to "
                "unpack the published reviews; to read these reviews, rename the directory and set data.path"
            )
        if not files:
            raise UserError(f"{part}: no review in it, that is no .txt file")
        reviews.texts.extend(map(read_text, files))
        reviews.classes.extend([number] * len(files))
    others = [name for name in subdirectories(folder) if name not in FOLDERS]
    log_skipped(folder, Counter(f"directory '{name}'" for name in others))
    return reviews


def _in_order(file: Path) -> tuple[int, str]:
    """By the number before the underscore, as in `127_7.txt`, and then by name."""
    number = file.name.partition("_")[0]
    return (int(number) if number.isdecimal() else 0), file.name


def read_text(file: Path) -> str:
    """The text of one review.

    Raises:
        UserError: It is empty, not in UTF-8, or cannot be read.
    """
    try:
        text = file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not text in UTF-8 ({error}); save it as such, or remove it") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    if is_empty(text):
        raise UserError(f"{file}: an empty review; remove it")
    return text


def read_rows(file: CsvFile, text_column: str | int, label_column: str | int, class_names: Sequence[str]) -> Reviews:
    """Read the reviews of a CSV file.

    Args:
        file: The file.
        text_column: Of the texts, by name or number.
        label_column: Of the classes.
        class_names: Labels of the classes, in upper or lower case; `neg` and `pos` stand for `negative` and `positive`.
            If none of the names is a number, the column may hold the numbers 0, 1, ... of the classes instead.

    Raises:
        UserError: There is no such column, a text is empty, a label is unknown, or all are the same; says the line.
    """
    columns = {"data.label_column": [label_column], "data.text_column": [text_column]}
    check_header(file, columns, labels=[*class_names, *SHORT])
    text = file.index("data.text_column", text_column)
    label = file.index("data.label_column", label_column)
    if text == label:
        raise UserError(f"data.label_column: {file.path}, {file.place(label)} is data.text_column too")
    classes = class_indices(file, label, class_names, any_case=True, short=SHORT)
    texts = file.cells(text)
    for row, content in enumerate(texts):
        if is_empty(content):
            raise UserError(f"{file.where(row, text)}: the text is empty; take the row out of the file")
    if len(set(classes)) == 1:
        only = class_names[classes[0]]
        raise UserError(f"{file.path}, {file.place(label)}: every review is {only}; need at least two classes")
    return Reviews(texts, classes)


def cut_run(reviews: Reviews, size: int, seed: int) -> tuple[Reviews, Reviews]:
    """Cut a run of neighbours out of each class: `size` reviews in all, and the rest.

    In the official numbering reviews of one film are neighbours, and the films of training and test are not the same:
    cut at random, a network that knows films by heart would look better in validation than it is in the test.

    Args:
        reviews: In the order of their numbers, of each class.
        size: About equally many of each class.
        seed: Of the place where a run begins.

    Raises:
        UserError: A class has too few reviews.
    """
    chosen: set[int] = set()
    classes = sorted(set(reviews.classes))
    for number in classes:
        rows = [row for row, found in enumerate(reviews.classes) if found == number]
        count = size * (number + 1) // len(classes) - size * number // len(classes)
        if not 0 < count < len(rows):
            raise UserError(
                f"data.val_size: {size} asks for {count} of the {len(rows)} training reviews of a class; it must leave "
                "some, and take at least one"
            )
        room = len(rows) - count + 1
        first = int(torch.randint(room, (), generator=generator_for("run", seed, number)))
        chosen.update(rows[first : first + count])
    return reviews.take(sorted(chosen)), reviews.take(row for row in range(len(reviews.texts)) if row not in chosen)


def without_repeats(reviews: Reviews, elsewhere: Sequence[str] = ()) -> Reviews:
    """Each text once, the first, and none that stands `elsewhere`; what was left out is told in the log."""
    held_back = {same(text) for text in elsewhere}
    keys = [same(text) for text in reviews.texts]
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    differ = sum(reviews.classes[row] != reviews.classes[first[key]] for row, key in enumerate(keys))
    if differ:
        log.warning("%d reviews repeat the text of another with another label; the first label is kept", differ)
    kept = [row for text, row in first.items() if text not in held_back]
    repeats, leaks = len(reviews.texts) - len(first), len(first) - len(kept)
    if repeats or leaks:
        also = f" and {leaks} that stand in the test as well" if elsewhere else ""
        log.info("left out of %d reviews: %d that repeat another%s", len(reviews.texts), repeats, also)
    return reviews.take(kept)
