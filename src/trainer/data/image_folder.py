"""ImageFolder: pictures of one's own, in a folder for each class; read from the disk as they are needed."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import Count, DataSpec, Share
from trainer.data.base import TensorData
from trainer.data.io.class_folders import classes_in, folders_of, pictures_of, unused
from trainer.data.io.directory_walk import log_skipped
from trainer.data.loading.augment import random_affine, random_mirror
from trainer.data.loading.counter_rng import Draws
from trainer.data.loading.prefetch import Workers, read_ahead, workers_for
from trainer.data.loading.split import Split, Stage, chosen, cut_each
from trainer.data.preprocessing.images import Fit, Images
from trainer.data.synthetic import images

# of the pixels of each colour, scaled to [0, 1], over ImageNet's photographs, and of their brightness: what trained
# weights expect, and near enough for other photographs
MEAN = {1: (0.449,), 3: (0.485, 0.456, 0.406)}
DEVIATION = {1: (0.226,), 3: (0.229, 0.224, 0.225)}
MADE_UP = ("one", "two", "three")  # classes, where there are no folders to name them
VAL_MADE_UP = 500  # pictures


class ImageFolder(TensorData):
    """Pictures in folders: `path/CLASS/*.jpg`, or `path/train/CLASS/*.jpg` and the same in `val` and `test`.

    A split that has no folder is cut from the training pictures, by its share of each class. What a split holds in
    memory are the numbers of its files; they are read when they are needed, by worker processes.

    Args:
        path: The folder, below `dir` or in full.
        dir: Folder that it lies below.
        classes: Only these, by the names of their folders, numbered in this order; None takes all, sorted.
        size: Height and width that pictures are brought to, in pixels.
        channels: 3 for colours, 1 for grey.
        fit: What is done to a picture that is not square; see `Images`. Predictions do the same.
        mean: Of each channel, scaled to [0, 1], that is taken from the pixels; None takes ImageNet's.
        deviation: ... that they are divided by then; None takes ImageNet's.
        mirror: Half of the training pictures, chosen at random, are turned left to right.
        degrees: Training pictures are turned at random by up to this much either way.
        shift_pixels: ... shifted by up to this much along each axis.
        scale: ... and scaled by up to this share, either way.
        workers: Processes that read pictures ahead; `"auto"` takes one for each core but the one that trains.
        prefetch: Batches that each of them has ready.
        synthetic: Whether made-up images stand in for the pictures; no file is read then.
        val_share, test_share: Of the training pictures, where there is no folder of validation or test.
        data_seed: Of the cut; not the run's seed, so that runs compare.
        batch_size, eval_batch_size, seed: See `TensorData`.

    Raises:
        UserError: There is no such folder, or not the classes that there should be.
    """

    def __init__(
        self,
        *,
        path: str,
        dir: str = ".",  # noqa: A002  the word users type: data.dir
        classes: Sequence[str | int] | None = None,
        size: Count = 64,
        channels: Literal[1, 3] = 3,
        fit: Fit = "crop",
        mean: Sequence[float] | None = None,
        deviation: Sequence[float] | None = None,
        mirror: bool = False,
        degrees: float = 0.0,
        shift_pixels: float = 0.0,
        scale: float = 0.0,
        workers: Workers = "auto",
        prefetch: Count = 2,
        synthetic: bool = False,
        val_share: Share = 0.2,
        test_share: Share = 0.2,
        data_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if workers != "auto" and workers < 0:
            raise UserError(f"data.workers: {workers} is less than 0")
        self.root, self.synthetic = Path(dir, path), synthetic
        wanted = None if classes is None else [str(name) for name in classes]
        self.folders = {} if synthetic else folders_of(self.root, wanted)
        names = MADE_UP if synthetic else classes_in(self.folders, listed=wanted is not None)
        self.classes = names if wanted is None else chosen(wanted, wanted if synthetic else names)
        means = _of_each("mean", mean, MEAN[channels])
        deviations = _of_each("deviation", deviation, DEVIATION[channels])
        self.preprocessing: Images = Images((channels, size, size), _as_bytes(means), _as_bytes(deviations), fit=fit)
        ends = [(end - m) / d for m, d in zip(means, deviations, strict=True) for end in (0, 1)]
        self.limits = min(ends), max(ends)
        self.mirror, self.degrees, self.shift_pixels, self.scale = mirror, degrees, shift_pixels, scale
        self.workers, self.prefetch = workers, prefetch
        self.shares: dict[Stage, float] = {"val": val_share, "test": test_share}
        self.data_seed = data_seed
        self.files: list[str] = []

    @property
    def spec(self) -> DataSpec:
        """Square images in colour or grey, a class for each folder."""
        outputs = 1 if len(self.classes) == 2 else len(self.classes)
        shape, names, made = self.preprocessing.shape, self.classes, self.synthetic
        ends = self.limits
        return DataSpec("image_folder", "image", shape, "classes", outputs, names, synthetic=made, value_range=ends)

    def load(self) -> dict[Stage, Split]:
        """Find the pictures of each split, and cut those that have no folder from the training ones."""
        if self.synthetic:
            return images(self.spec, VAL_MADE_UP)
        skipped: Counter[str] = Counter()
        found = {
            stage: pictures_of(folder, self.classes, skipped, self.folders.values())
            for stage, folder in self.folders.items()
        }
        skipped.update(f"directory '{name}'" for name in unused(self.root, self.folders))
        log_skipped(self.root, skipped)
        self._checksum = checksum(self.root, found)
        self.files = [file for pictures in found.values() for file, _ in pictures]
        splits, first = {}, 0
        for stage, pictures in found.items():
            numbers = torch.arange(first, first + len(pictures))
            splits[stage] = Split(numbers, torch.tensor([number for _, number in pictures]))
            first += len(pictures)
        lacking = [stage for stage in self.shares if stage not in splits]
        everything = splits["train"]
        parts = cut_each(everything.targets, *(self.shares[stage] for stage in lacking), seed=self.data_seed)
        for stage, rows in zip([*lacking, "train"], parts, strict=True):
            splits[stage] = Split(everything.inputs[rows], everything.targets[rows])
        return splits

    def read(self, stored: Sequence[Tensor]) -> Iterable[Tensor]:
        """Pictures as bytes, by the numbers of their files."""
        if self.synthetic:
            return stored
        trainer = self.trainer
        return read_ahead(
            self.preprocessing.pictures,
            [[self.files[number] for number in batch.tolist()] for batch in stored],
            workers=workers_for(self.workers, trainer.num_devices if trainer else 1),
            prefetch=self.prefetch,
            pinned=trainer is not None and trainer.strategy.root_device.type == "cuda",
        )

    def augment(self, inputs: Tensor, random: Draws) -> Tensor:
        """Mirror, turn, shift and scale each picture at random; what comes in from outside is grey."""
        if self.mirror:
            inputs = random_mirror(inputs, random)
        amounts = {"degrees": self.degrees, "shift_pixels": self.shift_pixels, "scale": self.scale}
        return random_affine(inputs, random, **amounts, fill=0.0)


def checksum(root: Path, found: dict[Stage, list[tuple[str, int]]]) -> str:
    """SHA-256 over split, class, name below `root` and bytes of each picture; to read them all takes too long."""
    digest = hashlib.sha256()
    for stage, pictures in found.items():
        for file, number in pictures:
            line = f"{stage} {number} {os.path.relpath(file, root)} {os.path.getsize(file)}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _of_each(name: str, given: Sequence[float] | None, usual: Sequence[float]) -> Sequence[float]:
    """A number for each channel."""
    values = usual if given is None else given
    if len(values) != len(usual) or (name == "deviation" and min(values) <= 0):
        above = " above 0" if name == "deviation" else ""
        raise UserError(
            f"data.{name}: {[*values]} is not a number{above} for each channel, of which there are {len(usual)}"
        )
    return values


def _as_bytes(values: Sequence[float]) -> Tensor:
    """Numbers in [0, 1] of each channel, for pixels up to 255: (channels, 1, 1)."""
    return 255 * torch.tensor(values).view(-1, 1, 1)
