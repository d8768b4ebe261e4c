"""Images with their classes by split."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.core.errors import UserError
from trainer.data.loading.split import Stage

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
