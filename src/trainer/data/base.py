"""Base class of all data sets."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import Batch, DataSpec, Kind
from trainer.core.target_scale import TargetScale
from trainer.data import spec_check
from trainer.data.augmentation.augmentation import Augmentation
from trainer.data.augmentation.steps import ImageFormat
from trainer.data.loading.class_balance import Sampling, balance_weights, require_classes
from trainer.data.loading.counter_rng import BatchRNG
from trainer.data.loading.device_placement import make_loader
from trainer.data.loading.split import Split, Stage
from trainer.data.loading.tensor_loader import TensorLoader
from trainer.data.loading.training_sample import sample_training_examples
from trainer.data.preprocessing.base import Preprocessing


class TensorData(LightningDataModule, ABC):
    """A data set of tensors. Subclasses define `spec` and `load`, and optionally `read`, `prepare` and `augment`.

    Args:
        sampling: `"balanced"` draws the training examples of an epoch with replacement, each class with the same
            probability; within a class in proportion to `sample_weights`, if there are any. Defaults to None: each
            example once.
        batch_size: Training examples per step, in each process.
        eval_batch_size: Examples per batch in validation and test. Affects speed and memory, not results.
        seed: Seed of the order of training examples and of augmentation; the run's seed in conf/data.
        repeats: Number of passes over the training examples in an epoch, for data sets of few examples. None: `load`
            sets it.
    """

    preprocessing: Preprocessing | None = None  # stored in the checkpoint; predictions read files with it
    sample_weights: Tensor | None = None  # of the training examples; they are drawn with these probabilities
    augmentation = Augmentation()  # random changes of training images; set by data sets of images
    pooled_examples: int | None = None  # test examples of all folds together; None if these are all examples
    standardize_target = True  # scale regression targets to mean 0 and standard deviation 1

    def __init__(
        self,
        *,
        batch_size: int,
        eval_batch_size: int = 1024,
        seed: int = 0,
        repeats: int | None = 1,
        sampling: Sampling = None,
    ) -> None:
        super().__init__()
        if min(batch_size, eval_batch_size, 1 if repeats is None else repeats) < 1:
            raise UserError("data.batch_size, data.eval_batch_size and data.repeats: must be at least 1")
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self.repeats = repeats
        self.sampling: Sampling = sampling
        self.splits: Mapping[Stage, Split] = {}
        self._train_loader: TensorLoader | None = None
        self._checksum = ""  # computed at the first call of `checksum`
        self._start_epoch = 0  # epochs started before the checkpoint that this run resumes

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """The shape of the data, from constructor arguments alone."""

    @property
    def inferred_settings(self) -> dict[str, Any]:
        """Settings of `data` that the config leaves open and that were found in the files, by key.

        They are written into the config of the run.
        """
        return {}

    @abstractmethod
    def load(self) -> dict[Stage, Split]:
        """Read, download or generate the data and split it; called once."""

    def read(self, stored: Sequence[Tensor]) -> Iterable[Tensor]:
        """Read the batches that stored inputs refer to, for example by file index, one batch after the other."""
        return stored

    def prepare(self, inputs: Tensor) -> Tensor:
        """Convert stored inputs to network inputs on their device: (batch, ...) -> (batch, *spec.shape)."""
        return self.preprocessing.prepare(inputs) if self.preprocessing else inputs

    @property
    def fill(self) -> float:
        """Value of new pixels of augmented images; 0 is the mean of standardized images."""
        return 0.0

    def augment(self, inputs: Tensor, random: BatchRNG) -> Tensor:
        """Change a batch of prepared training inputs at random; all random numbers come from `random`."""
        return self.augmentation.apply(inputs, random, ImageFormat(self.fill, self.preprocessing))

    def mix(self, inputs: Tensor, targets: Tensor, random: np.random.Generator) -> Batch:
        """Combine the examples of a training batch at random; targets become probabilities."""
        return self.augmentation.mix(inputs, targets, random, self.spec.output_size)

    def lengths(self, inputs: Tensor) -> Tensor | None:
        """Return the lengths (examples,) of stored inputs, or None if all are equal; batches group similar lengths."""
        return None

    def setup(self, stage: str) -> None:
        if not self.splits:
            splits = self.load()  # first, as it knows more about missing and changed files than `spec`
            require_classes(self.spec, self.sampling)
            self.augmentation.validate(self.spec)
            for name, split in splits.items():
                first_input = next(iter(self.read([split.inputs[:1]])))
                spec_check.validate_split(self.spec, name, split, self.prepare(first_input))
            self.splits = splits

    @property
    def target_scale(self) -> TargetScale | None:
        """Mean and standard deviation of the training targets, available after `setup`; None if not standardized."""
        is_scaled = self.spec.target == "regression" and self.standardize_target
        return TargetScale.of(self.splits["train"].targets) if is_scaled else None

    @property
    def class_counts(self) -> Tensor | None:
        """Number of training examples of each class (classes,), available after `setup`; None for regression."""
        if self.spec.target == "regression":
            return None
        return self.splits["train"].targets.bincount(minlength=len(self.spec.class_names))

    def checksum(self) -> str:
        """Return the SHA-256 over the examples of all splits in order; equal if two runs read the same data."""
        self._checksum = self._checksum or spec_check.checksum(self.splits)
        return self._checksum

    def training_batches(self) -> Iterator[Batch]:
        """Yield all training examples as network inputs and targets, in their order and without augmentation."""
        inputs, targets = (torch.split(part, self.eval_batch_size) for part in self.splits["train"])
        yield from zip(map(self.prepare, self.read(inputs)), targets, strict=True)

    def sample_training_batches(self, examples: int) -> Iterator[Batch]:
        """Yield some training examples as network inputs and targets; see `sample_training_examples`."""
        for inputs, targets in sample_training_examples(self.splits, examples, self.eval_batch_size):
            yield from zip(map(self.prepare, self.read([inputs])), [targets], strict=True)

    def train_dataloader(self) -> TensorLoader:
        is_overfitting = bool(getattr(self.trainer, "overfit_batches", 0))  # batches must stay the same
        epoch = self.state_dict()["epochs_begun"]
        self._train_loader = self._loader("train", shuffle=not is_overfitting)
        # Lightning restores the state of a loader only within an epoch; between epochs, set the next epoch here
        self._train_loader.epoch = epoch
        return self._train_loader

    def val_dataloader(self) -> TensorLoader:
        return self._loader("val")

    def test_dataloader(self) -> TensorLoader:
        return self._loader("test")

    def state_dict(self) -> dict[str, Any]:
        loader = self._train_loader
        return {"epochs_begun": loader.epoch + (loader.position > 0) if loader else self._start_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._start_epoch = state_dict["epochs_begun"]

    def _loader(self, stage: Stage, *, shuffle: bool = False) -> TensorLoader:
        return make_loader(
            self.splits[stage],
            self.trainer,
            batch_size=self.batch_size if stage == "train" else self.eval_batch_size,
            prepare=self.prepare,
            augment=self.augment if shuffle and self._has_augmentation() else None,
            mix=self.mix if shuffle and self.augmentation.batch_steps else None,
            read=self.read if type(self).read is not TensorData.read else None,
            shuffle=shuffle,
            lengths=self.lengths(self.splits[stage].inputs),
            weights=self._train_weights() if shuffle else None,
            repeats=(self.repeats or 1) if stage == "train" else 1,
            even=stage == "train",
            seed=self.seed,
        )

    def _train_weights(self) -> Tensor | None:
        """Return the sampling weights of the training examples (examples,), or None if each one is used once."""
        if self.sampling:
            return balance_weights(self.splits["train"].targets, self.sample_weights)
        return self.sample_weights

    def _has_augmentation(self) -> bool:
        return bool(self.augmentation.image_steps) or type(self).augment is not TensorData.augment


def make_classification_spec(
    name: str, kind: Kind, shape: tuple[int, ...], class_names: tuple[str, ...], **options: Any
) -> DataSpec:
    """Return the spec of a classification; `options` are further fields of `DataSpec`."""
    return DataSpec(name, kind, shape, "classification", count_outputs(class_names), class_names, **options)


def count_outputs(class_names: Sequence[str]) -> int:
    """Return the number of network outputs of a classification: one per class, but a single logit for two classes."""
    return 1 if len(class_names) == 2 else len(class_names)
