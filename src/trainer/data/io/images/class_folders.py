"""Image directories with one directory per class, optionally inside one directory per split."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

from trainer.core.errors import UserError, did_you_mean
from trainer.core.override_format import format_list_override, format_override
from trainer.data.io.directory_walk import classify_file, count_skipped, format_counts, list_subdirectories
from trainer.data.io.images.image_files import IMAGE_EXTENSIONS, is_image_file, iter_image_files
from trainer.data.io.tables.class_labels import find_near_duplicates
from trainer.data.loading.split import Stage

STAGES_BY_NAME: dict[str, Stage] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev", "development"), "val"),
    **dict.fromkeys(("test", "tests", "testing"), "test"),
}
SPLIT_SUFFIX_PATTERN = r"((data)?sets?|data|images?|imgs?|pictures|split|folder)$"  # test_set, TrainingData, val-images


def parse_split_name(name: str) -> Stage | None:
    """Return the split that a directory is named after, in any case, or None: `Training_set`, `val2017`."""
    letters = re.sub(r"[\W_\d]+", "", name.casefold())
    return STAGES_BY_NAME.get(letters) or STAGES_BY_NAME.get(re.sub(SPLIT_SUFFIX_PATTERN, "", letters))


def find_split_directories(root: Path, classes: Sequence[str] | None = None) -> dict[Stage, Path]:
    """Return the directory of each split; if there are none, return `root` as the training split.

    Args:
        root: Directory of the data set.
        classes: Class names, if the user has listed them; directories of these names in `root` are not splits.

    Raises:
        UserError: If the directory is missing, has no classes or no training split, or contains a directory that may
            be a split or a class.
    """
    if not root.is_dir():
        raise UserError(
            f"data.path: no directory '{root}'\n  data.path is relative to data.dir (or to the environment variable "
            "TRAINER_DATA_DIR); to run without images: data.synthetic=true"
        )
    names = list_subdirectories(root)
    if not names:
        raise UserError(
            f"data.path: no class directories in '{root}'\n  expected one directory per class: "
            f"{root}/cat/1.jpg {root}/dog/1.jpg, or {root}/train/cat/1.jpg ..."
        )
    if classes is not None and {*classes} <= {*names}:
        return {"train": root}
    directories: dict[Stage, Path] = {}
    for name in names:
        stage = parse_split_name(name)
        if stage is None or not list_subdirectories(root / name):
            continue
        if stage in directories:
            raise UserError(f"data.path: '{directories[stage]}' and '{root / name}' are the same split; move one away")
        directories[stage] = root / name
    if not directories:
        _check_classes(root, names)
        return {"train": root}
    directories = {stage: directories[stage] for stage in get_args(Stage) if stage in directories}
    if "train" not in directories:
        raise UserError(f"data.path: '{root}' has {', '.join(directories)} with class directories, but no train")
    _check_unused_directories(root, list_unused_directories(root, directories), directories)
    return directories


def list_unused_directories(root: Path, directories: dict[Stage, Path]) -> list[str]:
    """Return the names of the directories in `root` that are not splits."""
    splits = directories.values()
    return [] if root in splits else [name for name in list_subdirectories(root) if root / name not in splits]


def find_classes(directories: dict[Stage, Path], listed: bool = False) -> tuple[str, ...]:
    """Return the class names: the names of the training directories.

    Args:
        directories: Directory of each split.
        listed: Whether the user has listed the classes; similar names are then allowed.

    Raises:
        UserError: If there are fewer than two classes, two have the same or similar names, or another split has a
            class that training does not have.
    """
    train = directories["train"]
    names = list_subdirectories(train)
    if len(names) < 2:
        only = f", '{names[0]}'" if names else ""
        inner = names and len(list_subdirectories(train / names[0])) > 1
        hint = (
            f"; if the classes are in that directory: {format_override('data.path', train / names[0])}" if inner else ""
        )
        raise UserError(
            f"data.path: '{train}' has only one directory{only}; expected one for each of two or more classes{hint}"
        )
    if not listed and (alike := find_near_duplicates(names)):
        raise UserError(
            f"data.path: '{alike[0]}' and '{alike[1]}' in '{train}' have nearly the same name; merge them, "
            f"or list both: {format_list_override('data.classes', names)}"
        )
    paths: dict[str, Path] = {}
    for directory in directories.values():
        for name in list_subdirectories(directory):
            path = directory / name
            if name not in names:
                raise UserError(
                    f"data.path: '{path}' is a class that '{train}' does not have{did_you_mean(name, names)}"
                )
            first = paths.setdefault(os.path.realpath(path), path)
            if first != path:
                raise UserError(f"data.path: '{first}' and '{path}' are the same directory; remove one")
    return tuple(names)


def find_images(
    directory: Path, classes: Sequence[str], skipped: Counter[str] | None = None, splits: Iterable[Path] = ()
) -> list[tuple[str, int]]:
    """Return path and class index of each image, sorted by class and path, including those in subdirectories.

    Args:
        directory: Directory of the split.
        classes: Class names.
        skipped: Receives the number of other files by kind.
        splits: Directories of all splits; links from one split into another are skipped.

    Raises:
        UserError: If a class directory has no images.
    """
    images: list[tuple[str, int]] = []
    skipped = Counter() if skipped is None else skipped
    count_skipped(
        directory, skipped, lambda file: "outside of the classes" if is_image_file(file) else classify_file(file)
    )
    class_paths = [
        os.path.realpath(split / name) for split in {directory, *splits} for name in list_subdirectories(split)
    ]
    for index, name in enumerate(classes):
        if not (directory / name).is_dir():  # validation and test may lack a class
            continue
        others: Counter[str] = Counter()
        files = sorted(iter_image_files(directory / name, others, class_paths))
        if not files:
            counts = f"; skipped: {format_counts(others)}" if others else ""
            expected = f"files ending in {', '.join(IMAGE_EXTENSIONS)}{counts}"
            raise UserError(
                f"data.path: no images in '{directory / name}' ({expected}); add some, or leave the class out by "
                "data.classes"
            )
        images += [(file, index) for file in files]
        skipped.update(others)
    return images


def _check_classes(root: Path, names: Sequence[str]) -> None:
    """Raise an error if there are no splits, but directories that may be splits."""
    all_classes = format_list_override("data.classes", names)
    splits = [name for name in names if parse_split_name(name)]
    if splits:
        others = [name for name in names if name not in splits]
        leave_out = f" or leave it out: {format_list_override('data.classes', others)}" if len(others) > 1 else ""
        raise UserError(
            f"data.path: '{root / splits[0]}' has the name of a split, but contains no class directories\n"
            f"  if it is a class, list it: {all_classes}\n  if not, move it away{leave_out}"
        )
    contents = {name: list_subdirectories(root / name) for name in names}
    for name in names:
        alike = [other for other in names if contents[other] == contents[name]]
        if len(alike) > 1 and len(contents[name]) > 1:
            raise UserError(
                f"data.path: '{root / alike[0]}' and '{root / alike[1]}' contain the same directories: "
                f"{', '.join(contents[name][:5])}\n  if they are splits, name them train, val and test; if they are "
                f"classes, list them: {all_classes}"
            )


def _check_unused_directories(root: Path, names: Sequence[str], directories: dict[Stage, Path]) -> None:
    """Raise an error if an unused directory may be another split or a class."""
    train = directories["train"]
    classes = {*list_subdirectories(train)}
    for name in names:
        path = root / name
        if len(classes & {*list_subdirectories(path)}) > 1:
            raise UserError(
                f"data.path: '{path}' has class directories like '{train}'; if it is a split, name it train, val or "
                "test; if not, move it away"
            )
        has_images = len(directories) == 1 and any(is_image_file(file) for file in path.iterdir())
        if has_images and parse_split_name(name) is None:
            override = format_list_override("data.classes", list_subdirectories(root))
            raise UserError(
                f"data.path: '{train}' may be a split or a class, as '{path}' contains images\n  if it is a class, "
                f"list all: {override}; if not, {format_override('data.path', train)}"
            )
