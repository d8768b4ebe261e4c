"""Data set of arrays in .npz, .npy or IDX files."""

from math import prod
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Fraction, Kind, Target
from trainer.data.augmentation.augmentation import AugmentationSetting, parse_augmentation
from trainer.data.base import TensorData, make_classification_spec
from trainer.data.io.arrays.array_file import ArrayFile
from trainer.data.io.arrays.array_labels import (
    encode_labels,
    find_classes,
    format_class_names,
    infer_task,
    read_labels,
    read_values,
)
from trainer.data.io.arrays.array_pairs import (
    Pair,
    find_usual_names,
    open_archives,
    open_file_pairs,
    refuse_unused_settings,
)
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.folds import make_fold, random_fold_split, refuse_own_splits
from trainer.data.loading.split import Split, Stage, random_split
from trainer.data.preprocessing.arrays import (
    ArrayPreprocessing,
    compute_statistics,
    infer_kind,
    infer_shape,
    read_inputs,
)
from trainer.data.preprocessing.base import Preprocessing
from trainer.data.preprocessing.images import ImagePreprocessing
from trainer.data.synthetic import make_images

SYNTHETIC_SPEC = DataSpec("arrays", "image", (1, 28, 28), "classification", 10, synthetic=True)
NUM_SYNTHETIC_VAL_IMAGES = 500


class Arrays(TensorData):
    """Vectors, images or sequences, and their classes or values.

    An .npz file contains arrays `x` and `y`, and optionally `x_val`, `y_val`, `x_test`, `y_test`; instead, or instead
    of `x` and `y`, the names may have the form `x_train` or `train_x`. Other files contain one array each. Missing
    splits are fractions of the training examples.

    Args:
        path, val_path, test_path: .npz files of inputs and targets, relative to `dir`, or absolute.
        images, labels, test_images, test_labels: .npy or IDX files, plain or compressed, instead of `path`.
        dir: Base directory.
        x, y: Names of the arrays of inputs and targets. If there is no array `x` or `y`, another usual name is used,
            such as `images` and `labels`.
        kind: Kind of the inputs. Defaults to vectors for 1 or 2 axes, images for 4 axes or 3 of bytes, else sequences.
        task: Kind of the targets. Defaults to regression for floating-point numbers, else classification; an error if
            these numbers may be classes.
        standardize: Whether inputs are scaled to mean 0 and standard deviation 1 over the training examples: each
            channel of images, each feature of vectors and sequences.
        standardize_target: Whether the targets of a regression are scaled in the same way for the loss.
        augmentation: Random changes of training images, e.g. `[flip, {crop: {padding: 4}}]`; see docs/data.md.
        synthetic: Whether synthetic images of 28x28 pixels in ten classes replace the files.
        val_fraction, test_fraction: Fractions of the training examples, if the split has no arrays.
        folds, fold: Number of folds of a cross-validation, and the fold that is the test split; see `make_fold`.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.

    Raises:
        UserError: If a file or an array is missing, or is not of the kind or task.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        images: str | None = None,
        labels: str | None = None,
        test_images: str | None = None,
        test_labels: str | None = None,
        dir: str = ".",  # noqa: A002  the config key is data.dir
        x: str = "x",
        y: str = "y",
        kind: Literal["vector", "image", "sequence"] | None = None,
        task: Target | None = None,
        standardize: bool = True,
        standardize_target: bool = True,
        augmentation: AugmentationSetting = (),
        synthetic: bool = False,
        val_fraction: Fraction = 0.2,
        test_fraction: Fraction = 0.2,
        folds: int | None = None,
        fold: int = 0,
        data_seed: int = 0,
        sampling: Sampling = None,
        batch_size: int = 64,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed, sampling=sampling)
        self.augmentation = parse_augmentation(augmentation)
        self.fractions: dict[Stage, float] = {"val": val_fraction, "test": test_fraction}
        self.data_seed = data_seed
        self.standardize = standardize
        self.standardize_target = standardize_target
        self.names = {"data.x": x, "data.y": y}
        self.parts: dict[Stage, Pair] = {}
        self._spec = SYNTHETIC_SPEC
        self._settings = {"kind": kind, "task": task, "x": x, "y": y}
        self.fold = make_fold(folds, fold)
        if synthetic:
            refuse_own_splits(self.fold, ("val", "test"))
            return
        train = {"data.images": images, "data.labels": labels}
        test = {"data.test_images": test_images, "data.test_labels": test_labels}
        self._open(Path(dir), {"train": path, "val": val_path, "test": test_path}, train, test)
        refuse_own_splits(self.fold, self.parts)
        self._spec = self._infer_spec(kind, task)

    @property
    def spec(self) -> DataSpec:
        """Shape and classes of the arrays, from the headers of the files and from the labels."""
        return self._spec

    @property
    def inferred_settings(self) -> dict[str, Any]:
        """Kind and task, unless they are set, and other names of the arrays than in the config."""
        values = {
            "kind": self.spec.kind,
            "task": self.spec.target,
            "x": self.names["data.x"],
            "y": self.names["data.y"],
        }
        return {name: values[name] for name, value in self._settings.items() if value != values[name]}

    def load(self) -> dict[Stage, Split]:
        """Read the arrays; take missing splits from the training examples at random."""
        if self.spec.synthetic:
            self.preprocessing = ImagePreprocessing((1, 28, 28), 127.5, 127.5)
            return make_images(self.spec, NUM_SYNTHETIC_VAL_IMAGES)
        splits: dict[Stage, Split] = {
            stage: Split(read_inputs(inputs, self.spec.kind), self._read_targets(targets))
            for stage, (inputs, targets) in self.parts.items()
        }
        missing = [stage for stage in self.fractions if stage not in splits]
        if self.fold:
            val_size = max(1, round(self.fractions["val"] * len(splits["train"].targets)))
            splits = random_fold_split(splits["train"], self.fold, val_size, seed=self.data_seed)
        elif missing:
            sizes = [max(1, round(self.fractions[stage] * len(splits["train"].targets))) for stage in missing]
            *parts, splits["train"] = random_split(splits["train"], *sizes, seed=self.data_seed)
            splits |= dict(zip(missing, parts, strict=True))
        self.preprocessing = self._make_preprocessing(splits["train"].inputs)
        return splits

    def _open(
        self,
        root: Path,
        paths: dict[Stage, str | None],
        train: dict[str, str | None],
        test: dict[str, str | None],
    ) -> None:
        """Open archives, or the files of images and labels if some are set, which are given by key."""
        if any((train | test).values()):
            self.parts = open_file_pairs(root, {"train": train, "test": test})
            keys = {"data.path": paths["train"], "data.val_path": paths["val"], "data.test_path": paths["test"]}
            names = {key: None if key == f"data.{name}" else name for key, name in self.names.items()}
            refuse_unused_settings(keys | names, train | test)
        else:
            self.names = find_usual_names(root, paths["train"], self.names)
            self.parts = open_archives(root, paths, self.names)

    def _infer_spec(self, kind: Kind | None, task: Target | None) -> DataSpec:
        inputs, targets = self.parts["train"]
        kind = kind or infer_kind(inputs)
        shape = infer_shape(inputs, kind)
        for other, _ in self.parts.values():
            if infer_shape(other, kind) != shape:
                raise UserError(f"data: {other} has shape {other.shape}, but {inputs} has {inputs.shape}")
        if (task or infer_task(targets)) == "regression":
            return DataSpec("arrays", kind, shape, "regression", prod(targets.shape[1:]))
        self.class_labels = find_classes(read_labels(targets), targets)
        names = format_class_names(self.class_labels.tolist())
        return make_classification_spec("arrays", kind, shape, names)

    def _read_targets(self, array: ArrayFile) -> Tensor:
        if self.spec.target == "regression":
            return read_values(array)
        return encode_labels(array, self.class_labels)

    def _make_preprocessing(self, inputs: Tensor) -> Preprocessing:
        """Return the preprocessing with the statistics of the training inputs; that of image files for bytes."""
        kind = self.spec.kind
        mean = torch.zeros(1)
        std = torch.ones(1)
        if self.standardize:
            mean, std = compute_statistics(inputs, kind)
        if kind == "image" and inputs.dtype == torch.uint8 and self.spec.shape[0] in (1, 3):
            channels, height, width = self.spec.shape
            return ImagePreprocessing((channels, height, width), mean.float(), std.float())
        return ArrayPreprocessing(kind, self.spec.shape, mean, std, self.names["data.x"])
