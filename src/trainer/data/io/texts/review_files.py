"""Film reviews in the directories of the published IMDB data set, and their split."""

from collections import Counter
from pathlib import Path

import torch

from trainer.core.errors import UserError
from trainer.core.override_format import format_override
from trainer.data.io.directory_walk import list_files, list_subdirectories, log_skipped
from trainer.data.io.texts.labeled_texts import LabeledTexts, read_text
from trainer.data.loading.counter_rng import make_generator

CLASS_DIRECTORIES = ("neg", "pos")  # in the order of the classes


def read_tree(directory: Path, count: int | None) -> LabeledTexts:
    """Read `neg/*.txt` and `pos/*.txt` in the order of the numbers in the file names.

    Args:
        directory: Directory such as `aclImdb/train`.
        count: Expected number of files in each of the two subdirectories; None accepts any.

    Raises:
        UserError: If a directory is missing or has another number of files, or a file is empty or not UTF-8 text.
    """
    reviews = LabeledTexts([], [])
    for index, name in enumerate(CLASS_DIRECTORIES):
        files = _list_reviews(directory / name, count)
        reviews.texts.extend(map(read_text, files))
        reviews.classes.extend([index] * len(files))
    others = [name for name in list_subdirectories(directory) if name not in CLASS_DIRECTORIES]
    log_skipped(directory, Counter(f"directory '{name}'" for name in others))
    return reviews


def _list_reviews(directory: Path, count: int | None) -> list[Path]:
    """Return the reviews of a class in the order of their numbers."""
    root = directory.parents[1]
    remedy = (
        f"Move {root} away and run again to unpack the published reviews; to read your own texts, set data=texts "
        f"{format_override('data.path', root)}"
    )
    if not directory.is_dir():
        raise UserError(f"{directory} is missing. {remedy}")
    files = sorted(list_files(directory, lambda file: file.suffix == ".txt"), key=_review_sort_key)
    if count and len(files) != count:
        raise UserError(f"{directory}: {len(files)} reviews, expected {count}. {remedy}")
    return files


def _review_sort_key(file: Path) -> tuple[int, str]:
    """Return the number before the underscore, as in `127_7.txt`, and the name."""
    number = file.name.partition("_")[0]
    return (int(number) if number.isdecimal() else 0), file.name


def contiguous_split(reviews: LabeledTexts, size: int, seed: int) -> tuple[LabeledTexts, LabeledTexts]:
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
