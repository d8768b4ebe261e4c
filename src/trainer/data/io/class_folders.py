"""Directories of pictures: one for each class, in one for each split if there are any."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.class_labels import near_duplicates, typed
from trainer.data.io.directory_walk import count_others, counts, files_below, kind_of, subdirectories
from trainer.data.loading.split import Stage
from trainer.data.preprocessing.images import ENDINGS, is_picture

SPLITS: dict[str, Stage] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev", "development"), "val"),
    **dict.fromkeys(("test", "tests", "testing"), "test"),
}
SUFFIX = r"((data)?sets?|data|images?|imgs?|pictures|split|folder)$"  # test_set, TrainingData, val-images


def split_named(name: str) -> Stage | None:
    """Return the split that a directory is named after, whatever the case, or None: `Training_set`, `val2017`."""
    word = re.sub(r"[\W_\d]+", "", name.casefold())
    return SPLITS.get(word) or SPLITS.get(re.sub(SUFFIX, "", word))


def folders_of(root: Path, classes: Sequence[str] | None = None) -> dict[Stage, Path]:
    """Return the directory of each split, if there are any; else all pictures are for training, and are cut later.

    Args:
        root: The directory of the data set.
        classes: Names of the classes, if the user has listed them: directories of these names in `root` are no splits.

    Raises:
        UserError: There is no such directory, it has no classes, nothing to train on, or a directory that may be a
            split or a class.
    """
    if not root.is_dir():
        raise UserError(
            f"data.path: no folder '{root}'\n  data.dir (or the environment variable TRAINER_DATA_DIR) is the folder "
            "it lies below; without pictures at hand: data.synthetic=true"
        )
    names = subdirectories(root)
    if not names:
        raise UserError(
            f"data.path: no folders of classes in '{root}'\n  pictures lie in a folder for each class: "
            f"{root}/cat/1.jpg {root}/dog/1.jpg, or {root}/train/cat/1.jpg ..."
        )
    if classes is not None and {*classes} <= {*names}:
        return {"train": root}
    found: dict[Stage, Path] = {}
    for name in names:
        stage = split_named(name)
        if stage is None or not subdirectories(root / name):
            continue
        if stage in found:
            raise UserError(f"data.path: '{found[stage]}' and '{root / name}' are the same split; move one elsewhere")
        found[stage] = root / name
    if not found:
        _check_classes(root, names)
        return {"train": root}
    found = {stage: found[stage] for stage in get_args(Stage) if stage in found}
    if "train" not in found:
        raise UserError(f"data.path: '{root}' has {', '.join(found)} with folders of classes, but no such train")
    _check_others(root, unused(root, found), found)
    return found


def unused(root: Path, folders: dict[Stage, Path]) -> list[str]:
    """Return the names of the directories beside those of splits."""
    splits = folders.values()
    return [] if root in splits else [name for name in subdirectories(root) if root / name not in splits]


def classes_in(folders: dict[Stage, Path], listed: bool = False) -> tuple[str, ...]:
    """Return the classes: the names of the directories to train on.

    Args:
        folders: The directory of each split.
        listed: Whether the user has listed the classes; similar names are meant then.

    Raises:
        UserError: There are fewer than two, two are the same or nearly so, or another split has one more.
    """
    names = subdirectories(folders["train"])
    if len(names) < 2:
        only = f", '{names[0]}'" if names else ""
        raise UserError(
            f"data.path: '{folders['train']}' has one folder alone{only}, and there must be one for each of "
            "two classes or more"
        )
    if not listed and (alike := near_duplicates(names)):
        raise UserError(
            f"data.path: '{alike[0]}' and '{alike[1]}' in '{folders['train']}' are nearly the same name; make them one "
            f"folder, or list both: {typed('data.classes', names)}"
        )
    places: dict[str, Path] = {}
    for folder in folders.values():
        for name in subdirectories(folder):
            if name not in names:
                there = did_you_mean(name, names)
                raise UserError(f"data.path: '{folder / name}' is a class that '{folders['train']}' has not{there}")
            place = places.setdefault(os.path.realpath(folder / name), folder / name)
            if place != folder / name:
                raise UserError(f"data.path: '{place}' and '{folder / name}' are the same folder; remove one")
    return tuple(names)


def pictures_of(
    folder: Path, classes: Sequence[str], skipped: Counter[str] | None = None, splits: Iterable[Path] = ()
) -> list[tuple[str, int]]:
    """Return the pictures of each class in turn, sorted, those in directories below as well.

    Args:
        folder: The directory of a split.
        classes: Names of the classes.
        skipped: Receives the number of files that are no pictures, by kind.
        splits: The directories of all splits; what is in one is not read by a link from another one.

    Returns:
        list[tuple[str, int]]: Path and class of each.

    Raises:
        UserError: A class that has a directory here has no picture in it.
    """
    found: list[tuple[str, int]] = []
    skipped = Counter() if skipped is None else skipped
    count_others(folder, skipped, lambda file: "outside of the classes" if is_picture(file) else kind_of(file))
    read = [os.path.realpath(split / name) for split in {folder, *splits} for name in subdirectories(split)]
    for number, name in enumerate(classes):
        if not (folder / name).is_dir():  # of validation and test, which need not have all
            continue
        passed: Counter[str] = Counter()
        pictures: list[str] = []
        for file in files_below(folder / name, passed, read):
            if is_picture(file):
                pictures.append(file)
            else:
                passed[kind_of(file)] += 1
        if not pictures:
            skips = f"; skipped: {counts(passed)}" if passed else ""
            raise UserError(
                f"data.path: no picture in '{folder / name}' (a file that ends in {', '.join(ENDINGS)}{skips}); put "
                "some there, or leave the class out by data.classes"
            )
        found += [(picture, number) for picture in sorted(pictures)]
        skipped.update(passed)
    return found


def _check_classes(root: Path, names: Sequence[str]) -> None:
    """Raise an error if directories may be splits, where there are no splits that are known as such."""
    splits = [name for name in names if split_named(name)]
    if splits:
        others = [name for name in names if name not in splits]
        leave_out = f" or leave it out: {typed('data.classes', others)}" if len(others) > 1 else ""
        raise UserError(
            f"data.path: '{root / splits[0]}' has the name of a split, but no folders of classes in it\n"
            f"  if it is a class, list it: {typed('data.classes', names)}\n  if not, move it elsewhere{leave_out}"
        )
    inside = {name: subdirectories(root / name) for name in names}
    for name in names:
        twins = [other for other in names if inside[other] == inside[name]]
        if len(twins) > 1 and len(inside[name]) > 1:
            raise UserError(
                f"data.path: '{root / twins[0]}' and '{root / twins[1]}' have the same folders in them: "
                f"{', '.join(inside[name][:5])}\n  if they are splits, name them train, val and test; if they are "
                f"classes, list them: {typed('data.classes', names)}"
            )


def _check_others(root: Path, names: Sequence[str], found: dict[Stage, Path]) -> None:
    """Raise an error if a directory beside those of splits may be another split, or a class."""
    classes = {*subdirectories(found["train"])}
    for name in names:
        if len(classes & {*subdirectories(root / name)}) > 1:
            raise UserError(
                f"data.path: '{root / name}' has folders of classes, as '{found['train']}' has; if it is a split, name "
                "it train, val or test, if not, move it elsewhere"
            )
        if len(found) == 1 and split_named(name) is None and any(is_picture(file) for file in (root / name).iterdir()):
            raise UserError(
                f"data.path: '{found['train']}' may be a split or a class, as '{root / name}' has pictures\n  if it is "
                f"a class, list them: {typed('data.classes', subdirectories(root))}; if not, data.path={found['train']}"
            )
