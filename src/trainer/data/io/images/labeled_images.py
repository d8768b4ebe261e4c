"""Images with their classes by split."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from trainer.core.errors import UserError
from trainer.data.loading.split import Split, Stage

MAX_LISTED_CLASSES = 20
LabeledImages = list[tuple[str, int]]  # path and class index


class ImageSource(ABC):
    """Images of the splits.

    Attributes:
        root: Directory to which file names are relative in checksums.
        classes: Class names.
    """

    root: Path
    classes: tuple[str, ...]

    @abstractmethod
    def find_images(self) -> dict[Stage, LabeledImages]:
        """Return path and class index of each image; splits without images of their own are missing."""

    @abstractmethod
    def sample(self) -> list[str]:
        """Return at most `MAX_SAMPLED_IMAGES` training images from all classes."""


def checksum(root: Path, images_by_stage: Mapping[Stage, LabeledImages]) -> str:
    """Return the SHA-256 over split, class, relative path and file size of each image; reading all takes too long."""
    digest = hashlib.sha256()
    for stage, images in images_by_stage.items():
        for file, index in images:
            line = f"{stage} {index} {os.path.relpath(file, root)} {os.path.getsize(file)}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def require_training_images(images_by_stage: Mapping[Stage, LabeledImages], classes: Sequence[str]) -> None:
    """Raise an error if a class has no training images."""
    counts = Counter(index for _, index in images_by_stage.get("train", []))
    for index, name in enumerate(classes):
        if not counts[index]:
            raise UserError(
                f"data.path: class '{name}' has no training images; add some, or leave the class out by data.classes"
            )


def describe_splits(splits: Mapping[Stage, Split], classes: Sequence[str]) -> str:
    """Return the numbers of images by class and by split."""
    counts = Counter(index for split in splits.values() for index in split.targets.tolist())
    names = [f"{name} {counts[index]:,}" for index, name in enumerate(classes)][:MAX_LISTED_CLASSES]
    others = f" and {len(classes) - len(names)} more" if len(classes) > len(names) else ""
    sizes = ", ".join(f"{stage} {len(splits[stage].targets):,}" for stage in get_args(Stage))
    return f"images {counts.total():,} in {len(classes)} classes: {', '.join(names)}{others}; {sizes}"
