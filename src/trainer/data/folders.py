"""Folders: pictures that lie in a folder for each class, and perhaps in one for each split above that."""

import os
from collections.abc import Sequence
from pathlib import Path

from trainer.data.preprocessing.images import ENDINGS
from trainer.data.split import Stage
from trainer.errors import UserError, did_you_mean

CALLED: dict[Stage, tuple[str, ...]] = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


def folders_of(root: Path) -> dict[Stage, Path]:
    """The folder of each split, as far as there are any; else all is to train on, and is cut later.

    Raises:
        UserError: There is no such folder, it has no folders of classes, or there is nothing to train on.
    """
    if not root.is_dir():
        raise UserError(
            f"data.path: no folder '{root}'\n  data.dir (or the environment variable TRAINER_DATA_DIR) is the folder "
            "it lies below; without pictures at hand: data.synthetic=true"
        )
    if not subfolders(root):
        raise UserError(
            f"data.path: no folders of classes in '{root}'\n  pictures lie in a folder for each class: "
            f"{root}/cat/1.jpg {root}/dog/1.jpg, or {root}/train/cat/1.jpg ..."
        )
    found = {
        stage: root / name for stage, names in CALLED.items() for name in reversed(names) if subfolders(root / name)
    }
    if found and "train" not in found:
        raise UserError(f"data.path: '{root}' has {', '.join(found)} with folders of classes, but no such train")
    return found or {"train": root}


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in one, sorted; without hidden ones, which programs leave behind."""
    if not folder.is_dir():
        return []
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def classes_in(folders: dict[Stage, Path]) -> tuple[str, ...]:
    """The classes to be learnt: the names of the folders to train on.

    Raises:
        UserError: There are fewer than two, or another split has one more.
    """
    names = subfolders(folders["train"])
    if len(names) < 2:
        raise UserError(
            f"data.path: '{folders['train']}' has one folder alone, '{names[0]}', and there must be one for each of "
            "two classes or more"
        )
    for folder in folders.values():
        for name in subfolders(folder):
            if name not in names:
                there = did_you_mean(name, names)
                raise UserError(f"data.path: '{folder / name}' is a class that '{folders['train']}' has not{there}")
    return tuple(names)


def pictures_of(folder: Path, classes: Sequence[str]) -> list[tuple[str, int]]:
    """The pictures of each class in turn, sorted, those in folders below as well.

    Returns:
        list[tuple[str, int]]: Path and class of each.

    Raises:
        UserError: A class that has a folder here has no picture in it.
    """
    found = []
    for number, name in enumerate(classes):
        if not (folder / name).is_dir():  # of validation and test, which need not have all
            continue
        pictures = sorted(
            os.path.join(place, file)
            for place, _, files in os.walk(folder / name, followlinks=True)
            for file in files
            if file.lower().endswith(ENDINGS) and not file.startswith(".")
        )
        if not pictures:
            raise UserError(
                f"data.path: no picture in '{folder / name}' (a file that ends in {', '.join(ENDINGS)}); put some "
                "there, or leave the class out by data.classes"
            )
        found += [(picture, number) for picture in pictures]
    return found
