"""Data set of image files in one directory per class, or listed in a CSV file with their labels."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Fraction, PositiveInt
from trainer.data.augmentation.augmentation import AugmentationSetting, parse_augmentation
from trainer.data.base import TensorData, make_classification_spec
from trainer.data.io.images.image_files import check_header, infer_size_and_channels
from trainer.data.io.images.image_sources import ImageTableSettings, open_source
from trainer.data.io.images.labeled_images import (
    ImageSource,
    LabeledImages,
    checksum,
    describe_splits,
    require_training_images,
)
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.folds import make_fold, refuse_own_splits, stratified_split_by_stage
from trainer.data.loading.image_cache import Cache, ImageCache, make_image_cache
from trainer.data.loading.prefetch import Workers, prefetch_batches, resolve_num_workers, validate_workers
from trainer.data.loading.split import Split, Stage, validate_classes
from trainer.data.loading.unreadable_images import MAX_SEARCH_SECONDS, find_unreadable
from trainer.data.preprocessing.images import Fit, ImagePreprocessing, make_photo_preprocessing
from trainer.data.synthetic import make_images

SYNTHETIC_CLASSES = ("one", "two", "three")
NUM_SYNTHETIC_VAL_IMAGES = 500

log = logging.getLogger(__name__)


class ImageFolder(TensorData):
    """Image files in `path/CLASS/*.jpg`, in `path/{train,val,test}/CLASS/*.jpg`, or listed in a CSV file.

    A split without a directory is a fraction of each class of the training images. Splits store file indices; worker
    processes read the files when they are needed, and decoded images are kept in memory if they fit.

    Args:
        path: Directory of the images, or CSV file of file names and labels: relative to `dir`, or absolute.
        dir: Base directory.
        classes: Names of the classes to use, numbered in this order. Defaults to all, sorted.
        size: Height and width of the resized images, in pixels. Defaults to the median of the shorter sides of the
            images, at most 64.
        channels: 3 for color, 1 for grayscale. Defaults to 1 if all images are gray, else 3.
        fit: Treatment of images that are not square, also in predictions; see `ImagePreprocessing`.
        mean: Mean of each channel, scaled to [0, 1], which is subtracted. Defaults to ImageNet's.
        std: Standard deviation of each channel, by which pixels are divided. Defaults to ImageNet's.
        broken: Whether unreadable images are an `"error"`, or `"skip"` leaves them out of the splits.
        cache: Whether decoded images are kept in memory; `"auto"` does so if they take at most a quarter of it.
        augmentation: Random changes of training images, e.g. `[flip, {crop: {padding: 4}}]`; see docs/data.md.
        workers: Number of processes that read images ahead; `"auto"` is one per core except one for training.
        prefetch: Number of batches that each worker reads ahead.
        image_dir, image_column, label_column, split_column, delimiter: Settings of a CSV file; see `CsvSource`.
        synthetic: Whether synthetic images replace the files, which are not read then.
        val_fraction, test_fraction: Fractions of the training images, if the split has no directory.
        folds, fold: Number of folds of a cross-validation, and the fold that is the test split; see `make_fold`.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.

    Raises:
        UserError: If the directory or a class is missing.
    """

    image_cache: ImageCache | None = None  # created by `load`

    def __init__(
        self,
        *,
        path: str,
        dir: str = ".",  # noqa: A002  the config key is data.dir
        classes: Sequence[str | int] | None = None,
        size: PositiveInt | None = None,
        channels: Literal[1, 3] | None = None,
        fit: Fit = "crop",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        broken: Literal["error", "skip"] = "error",
        cache: Cache = "auto",
        augmentation: AugmentationSetting = (),
        workers: Workers = "auto",
        prefetch: PositiveInt = 2,
        image_dir: str | None = None,
        image_column: str | int | None = None,
        label_column: str | int | None = None,
        split_column: str | int | None = None,
        delimiter: str | None = None,
        synthetic: bool = False,
        val_fraction: Fraction = 0.2,
        test_fraction: Fraction = 0.2,
        folds: int | None = None,
        fold: int = 0,
        data_seed: int = 0,
        sampling: Sampling = None,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed, sampling=sampling)
        self.augmentation = parse_augmentation(augmentation)
        self.workers = validate_workers(workers)
        table = ImageTableSettings(image_dir, image_column, label_column, split_column, delimiter)
        listed = None if classes is None else [str(name) for name in classes]
        self.source = None if synthetic else open_source(dir, path, listed, table)
        names = listed or SYNTHETIC_CLASSES
        self.classes = self.source.classes if self.source else validate_classes(names, names)
        shape = {"size": size, "channels": channels}
        self._inferred = _infer_settings(self.source, shape)
        self.preprocessing: ImagePreprocessing = make_photo_preprocessing(fit, mean, std, **(shape | self._inferred))
        self.broken = broken
        self.cache = cache
        self.prefetch = prefetch
        self.fractions: dict[Stage, float] = {"val": val_fraction, "test": test_fraction}
        self.data_seed = data_seed
        self.fold = make_fold(folds, fold)
        refuse_own_splits(self.fold, ("val", "test") if synthetic else ())

    @property
    def spec(self) -> DataSpec:
        """Square images in color or grayscale, one class per directory or label."""
        options = {"synthetic": self.source is None, "value_range": self.preprocessing.value_range}
        return make_classification_spec("image_folder", "image", self.preprocessing.shape, self.classes, **options)

    @property
    def inferred_settings(self) -> dict[str, Any]:
        """Size and channels, unless they are set."""
        return self._inferred

    def setup(self, stage: str) -> None:
        super().setup(stage)
        # an unreadable test image is then an error before the training; debug runs read only the images of their steps
        if self.image_cache and self.trainer and self.trainer.state.fn == "fit" and not _is_limited(self.trainer):
            for _ in self.read(torch.split(torch.arange(len(self.files)), self.eval_batch_size)):
                pass  # stored in the cache

    def load(self) -> dict[Stage, Split]:
        """Find the images of each split; take splits without a directory from the training images."""
        if self.source is None:
            return make_images(self.spec, NUM_SYNTHETIC_VAL_IMAGES)
        images_by_stage = self._check_files(self.source.find_images())
        require_training_images(images_by_stage, self.classes)
        self._checksum = checksum(self.source.root, images_by_stage)
        splits = self._index_images(images_by_stage)
        refuse_own_splits(self.fold, splits)
        train = splits["train"]
        missing = {stage: fraction for stage, fraction in self.fractions.items() if stage not in splits}
        parts = stratified_split_by_stage(
            train.targets, missing, self.fold, seed=self.data_seed, class_names=self.classes
        )
        splits |= {stage: Split(train.inputs[rows], train.targets[rows]) for stage, rows in parts.items()}
        self.image_cache = make_image_cache(
            self.cache, len(self.files), self.preprocessing.shape, self._count_processes()
        )
        inferred = [f"inferred {name} {value}" for name, value in self._inferred.items()]
        reading = "kept in memory" if self.image_cache else "read in each epoch"
        log.info("; ".join([describe_splits(splits, self.classes), *inferred, reading]))
        return splits

    def _index_images(self, images_by_stage: dict[Stage, LabeledImages]) -> dict[Stage, Split]:
        """Set `files` to the paths of all images; return the indices of the paths, and the classes."""
        self.files: list[str] = []
        splits: dict[Stage, Split] = {}
        for stage, images in images_by_stage.items():
            indices = torch.arange(len(self.files), len(self.files) + len(images))
            splits[stage] = Split(indices, torch.tensor([index for _, index in images]))
            self.files += [file for file, _ in images]
        return splits

    def read(self, stored: Sequence[Tensor]) -> Iterable[Tensor]:
        """Read images as bytes by their file indices."""
        if self.source is None:
            return stored
        return self.image_cache.read(stored, self._read_files) if self.image_cache else self._read_files(stored)

    def _read_files(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        is_on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        try:
            yield from prefetch_batches(
                self.preprocessing.read_images,
                [[self.files[index] for index in batch.tolist()] for batch in batches],
                workers=self._count_workers(),
                prefetch=self.prefetch,
                pinned=is_on_gpu,
            )
        except UserError as error:
            raise self._make_error(self.files, str(error)) from error

    def _check_files(self, images_by_stage: dict[Stage, LabeledImages]) -> dict[Stage, LabeledImages]:
        """Raise an error if a file is not an image, or return the readable images if others are skipped."""
        files = [file for images in images_by_stage.values() for file, _ in images]
        if self.broken == "error":
            for error in find_unreadable(files, check_header, workers=self._count_workers()).errors.values():
                raise self._make_error(files, error)
            return images_by_stage
        search = find_unreadable(files, self.preprocessing.read_image, workers=self._count_workers())
        if search.errors:
            log.warning(search.describe(" and are left out"))
        readable = {*files} - {files[index] for index in search.errors}
        images_by_stage = {
            stage: [image for image in images if image[0] in readable] for stage, images in images_by_stage.items()
        }
        return {stage: images for stage, images in images_by_stage.items() if images or stage == "train"}

    def _make_error(self, files: Sequence[str], error: str) -> UserError:
        """Return an error with all files that cannot be read, as far as the search takes at most a minute."""
        read = self.preprocessing.read_image
        search = find_unreadable(files, read, workers=self._count_workers(), seconds=MAX_SEARCH_SECONDS)
        hint = "replace or remove them; to leave them out: data.broken=skip"
        return UserError(f"data.path: {search.describe() if search.errors else error}\n  {hint}")

    def _count_processes(self) -> int:
        return self.trainer.num_devices if self.trainer else 1

    def _count_workers(self) -> int:
        return resolve_num_workers(self.workers, self._count_processes())


def _is_limited(trainer: Trainer) -> bool:
    """Return whether the training uses some of the batches; a number without a point counts batches."""
    return isinstance(trainer.limit_train_batches, int) or trainer.limit_train_batches < 1


def _infer_settings(source: ImageSource | None, settings: Mapping[str, int | None]) -> dict[str, Any]:
    """Return the settings that are None, from the headers of a sample of images."""
    names = [name for name, value in settings.items() if value is None]
    size, channels = infer_size_and_channels(source.sample() if source and names else ())
    values = {"size": size, "channels": channels}
    return {name: values[name] for name in names}
