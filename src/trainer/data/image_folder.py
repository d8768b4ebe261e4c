"""Data set of image files in one directory per class; files are read when they are needed."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Fraction, PositiveInt
from trainer.data.base import TensorData, count_outputs
from trainer.data.io.class_folders import find_classes, find_images, find_split_directories, list_unused_directories
from trainer.data.io.directory_walk import log_skipped
from trainer.data.loading.augment import random_affine, random_horizontal_flip
from trainer.data.loading.counter_rng import BatchRNG
from trainer.data.loading.prefetch import Workers, prefetch_batches, resolve_num_workers
from trainer.data.loading.split import Split, Stage, stratified_split, validate_classes
from trainer.data.preprocessing.images import Fit, ImagePreprocessing
from trainer.data.synthetic import make_images

# of ImageNet's pixels, scaled to [0, 1], by number of channels; pretrained weights expect them
MEAN = {1: (0.449,), 3: (0.485, 0.456, 0.406)}
STD = {1: (0.226,), 3: (0.229, 0.224, 0.225)}
SYNTHETIC_CLASSES = ("one", "two", "three")
NUM_SYNTHETIC_VAL_IMAGES = 500


class ImageFolder(TensorData):
    """Image files in `path/CLASS/*.jpg`, or in `path/train/CLASS/*.jpg` and likewise in `val` and `test`.

    If the directory of a split is missing, a fraction of each class of the training images is used. Splits store file
    indices; worker processes read the files when they are needed.

    Args:
        path: Directory of the images: relative to `dir`, or absolute.
        dir: Base directory.
        classes: Names of the class directories to use, numbered in this order. Defaults to all, sorted.
        size: Height and width of the resized images, in pixels.
        channels: 3 for color, 1 for grayscale.
        fit: Treatment of images that are not square, also in predictions; see `ImagePreprocessing`.
        mean: Mean of each channel, scaled to [0, 1], which is subtracted. Defaults to ImageNet's.
        std: Standard deviation of each channel, by which pixels are divided. Defaults to ImageNet's.
        horizontal_flip: Whether each training image is flipped with probability 0.5.
        degrees: Maximum random rotation of training images, in either direction.
        shift_pixels: Maximum random shift along each axis.
        scale: Maximum random relative change of size, e.g. 0.1.
        workers: Number of processes that read images ahead; `"auto"` is one per core except one for training.
        prefetch: Number of batches that each worker reads ahead.
        synthetic: Whether synthetic images replace the files, which are not read then.
        val_fraction, test_fraction: Fractions of the training images, if the split has no directory.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        batch_size, eval_batch_size, seed: See `TensorData`.

    Raises:
        UserError: If the directory or a class is missing.
    """

    def __init__(
        self,
        *,
        path: str,
        dir: str = ".",  # noqa: A002  the config key is data.dir
        classes: Sequence[str | int] | None = None,
        size: PositiveInt = 64,
        channels: Literal[1, 3] = 3,
        fit: Fit = "crop",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        horizontal_flip: bool = False,
        degrees: float = 0.0,
        shift_pixels: float = 0.0,
        scale: float = 0.0,
        workers: Workers = "auto",
        prefetch: PositiveInt = 2,
        synthetic: bool = False,
        val_fraction: Fraction = 0.2,
        test_fraction: Fraction = 0.2,
        data_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if workers != "auto" and workers < 0:
            raise UserError(f"data.workers: {workers} is less than 0")
        self.root = Path(dir, path)
        self.synthetic = synthetic
        listed = None if classes is None else [str(name) for name in classes]
        self.directories = {} if synthetic else find_split_directories(self.root, listed)
        names = SYNTHETIC_CLASSES if synthetic else find_classes(self.directories, listed=listed is not None)
        self.classes = names if listed is None else validate_classes(listed, listed if synthetic else names)
        means = _resolve_channel_values("mean", mean, MEAN[channels])
        stds = _resolve_channel_values("std", std, STD[channels])
        self.preprocessing: ImagePreprocessing = ImagePreprocessing(
            (channels, size, size), _scale_to_bytes(means), _scale_to_bytes(stds), fit=fit
        )
        bounds = [(bound - m) / s for m, s in zip(means, stds, strict=True) for bound in (0, 1)]
        self.value_range = min(bounds), max(bounds)
        self.augmentation = {"degrees": degrees, "shift_pixels": shift_pixels, "scale": scale}
        self.horizontal_flip = horizontal_flip
        self.workers = workers
        self.prefetch = prefetch
        self.fractions: dict[Stage, float] = {"val": val_fraction, "test": test_fraction}
        self.data_seed = data_seed
        self.files: list[str] = []

    @property
    def spec(self) -> DataSpec:
        """Square images in color or grayscale, one class per directory."""
        return DataSpec(
            "image_folder",
            "image",
            self.preprocessing.shape,
            "classification",
            count_outputs(self.classes),
            self.classes,
            synthetic=self.synthetic,
            value_range=self.value_range,
        )

    def load(self) -> dict[Stage, Split]:
        """Find the images of each split; take splits without a directory from the training images."""
        if self.synthetic:
            return make_images(self.spec, NUM_SYNTHETIC_VAL_IMAGES)
        skipped: Counter[str] = Counter()
        images_by_stage = {
            stage: find_images(directory, self.classes, skipped, self.directories.values())
            for stage, directory in self.directories.items()
        }
        skipped.update(f"directory '{name}'" for name in list_unused_directories(self.root, self.directories))
        log_skipped(self.root, skipped)
        self._checksum = checksum(self.root, images_by_stage)
        self.files = []
        splits: dict[Stage, Split] = {}
        for stage, images in images_by_stage.items():
            indices = torch.arange(len(self.files), len(self.files) + len(images))
            splits[stage] = Split(indices, torch.tensor([index for _, index in images]))
            self.files += [file for file, _ in images]
        missing = [stage for stage in self.fractions if stage not in splits]
        train = splits["train"]
        parts = stratified_split(train.targets, *(self.fractions[stage] for stage in missing), seed=self.data_seed)
        for stage, rows in zip([*missing, "train"], parts, strict=True):
            splits[stage] = Split(train.inputs[rows], train.targets[rows])
        return splits

    def read(self, stored: Sequence[Tensor]) -> Iterable[Tensor]:
        """Read images as bytes by their file indices."""
        if self.synthetic:
            return stored
        trainer = self.trainer
        return prefetch_batches(
            self.preprocessing.read_images,
            [[self.files[index] for index in batch.tolist()] for batch in stored],
            workers=resolve_num_workers(self.workers, trainer.num_devices if trainer else 1),
            prefetch=self.prefetch,
            pinned=trainer is not None and trainer.strategy.root_device.type == "cuda",
        )

    def augment(self, inputs: Tensor, random: BatchRNG) -> Tensor:
        """Flip, rotate, shift and scale each image at random; new pixels at the border are gray."""
        if self.horizontal_flip:
            inputs = random_horizontal_flip(inputs, random)
        return random_affine(inputs, random, **self.augmentation, fill=0.0)


def checksum(root: Path, images_by_stage: dict[Stage, list[tuple[str, int]]]) -> str:
    """Return the SHA-256 over split, class, relative path and file size of each image; reading all takes too long."""
    digest = hashlib.sha256()
    for stage, images in images_by_stage.items():
        for file, index in images:
            line = f"{stage} {index} {os.path.relpath(file, root)} {os.path.getsize(file)}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _resolve_channel_values(name: str, values: Sequence[float] | None, default: Sequence[float]) -> Sequence[float]:
    values = default if values is None else values
    if len(values) != len(default) or (name == "std" and min(values) <= 0):
        positive = "positive " if name == "std" else ""
        raise UserError(
            f"data.{name}: {[*values]} is invalid; expected one {positive}number for each of {len(default)} channel(s)"
        )
    return values


def _scale_to_bytes(values: Sequence[float]) -> Tensor:
    """Scale values in [0, 1] of each channel to the range of a byte: (channels, 1, 1)."""
    return 255 * torch.tensor(values).view(-1, 1, 1)
