"""Data module made of one data set or loader per stage."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, WeightedRandomSampler, default_collate

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.loading.class_balance import Sampling, balance_weights, find_targets


class Datasets(LightningDataModule):
    """One PyTorch data set or loader per stage: `data: {train: {_target_: ...}, val: {_target_: ...}}`.

    Data sets are wrapped in a DataLoader with the arguments below; other objects are loaders and used as they are.

    Args:
        train: Training data.
        val: Validation data. Defaults to none: no validation.
        test: Test data. Defaults to none: no test.
        predict: Data for `trainer predict`. Defaults to none.
        batch_size: Examples per training step, in each process.
        eval_batch_size: Examples per batch in validation, test and prediction. Defaults to `batch_size`.
        shuffle: Whether training examples are shuffled.
        sampling: `"balanced"` draws the training examples with replacement, each class with the same probability. The
            data set needs an attribute `targets` or `labels`. Defaults to None: each example once.
        num_workers: Worker processes of each loader. Defaults to 0, which loads in the main process.
        collate_fn: Function that combines examples to a batch. Defaults to PyTorch's, after a conversion of Pillow
            images to floats in [0, 1].
        drop_last: Whether the last training batch is dropped if it is incomplete.
        pin_memory: Whether batches are copied to page-locked memory, for GPUs.
        spec: Sizes of the data, for networks with `_partial_: true`. Defaults to none.
    """

    def __init__(
        self,
        *,
        train: Any = None,
        val: Any = None,
        test: Any = None,
        predict: Any = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        shuffle: bool = True,
        sampling: Sampling = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        pin_memory: bool = False,
        spec: DataSpec | None = None,
    ) -> None:
        super().__init__()
        if min(batch_size, eval_batch_size or 1) < 1:
            raise UserError("data.batch_size and data.eval_batch_size: must be at least 1")
        self.spec = spec
        self.train = train
        self.shuffle = shuffle
        self.sampling: Sampling = sampling
        if sampling:
            require_targets(train)
            if not shuffle:
                raise UserError("data.sampling: balanced draws examples at random; expected data.shuffle=true")
        self.drop_last = drop_last
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or batch_size
        self._make = partial(
            DataLoader, num_workers=num_workers, collate_fn=collate_fn or collate, pin_memory=pin_memory
        )
        if train is not None:
            self.train_dataloader = self._make_train_loader  # type: ignore[method-assign]
        # Lightning runs the stages whose method is defined
        for stage, part in {"val": val, "test": test, "predict": predict}.items():
            if part is not None:
                setattr(self, f"{stage}_dataloader", lambda part=part: self._make_loader(part))

    def _make_train_loader(self) -> Any:
        if not _is_dataset(self.train):
            return self.train
        make = partial(self._make, self.train, batch_size=self.batch_size, drop_last=self.drop_last)
        if self.sampling:
            weights = balance_weights(require_targets(self.train)).tolist()
            return make(sampler=WeightedRandomSampler(weights, len(weights)))
        return make(shuffle=None if isinstance(self.train, IterableDataset) else self.shuffle)

    @property
    def class_counts(self) -> Tensor | None:
        """Number of training examples of each class (classes,); None if the data set does not state its classes."""
        targets = find_targets(self.train)
        classes = len(self.spec.class_names) if self.spec else 0
        return None if targets is None else targets.bincount(minlength=classes)

    def _make_loader(self, part: Any) -> Any:
        return self._make(part, batch_size=self.eval_batch_size) if _is_dataset(part) else part


def require_targets(dataset: Any) -> Tensor:
    """Return the classes (examples,) of a data set.

    Raises:
        UserError: The data set does not state them.
    """
    targets = find_targets(dataset)
    if targets is None:
        name = type(dataset).__name__
        hint = "add an attribute targets with the class of each example"
        raise UserError(f"data.sampling: balanced needs the classes of data.train, but {name} has none\n  {hint}")
    return targets


def collate(examples: list[Any]) -> Any:
    """Return a batch; Pillow images become tensors (channels, height, width) of floats in [0, 1], as by `ToTensor`.

    Raises:
        UserError: If the images have different sizes.
    """
    converted = [_convert_images(example) for example in examples]
    try:
        return default_collate(converted)
    except RuntimeError:
        if any(_contains_image(example) for example in examples):
            hint = "transform: {_target_: torchvision.transforms.Resize, size: [64, 64]}"
            raise UserError(
                f"images of different sizes cannot be combined to a batch\n  add to the data set: {hint}"
            ) from None
        raise


def _convert_images(example: Any) -> Any:
    """Return an example with its Pillow images as tensors."""
    if isinstance(example, Image.Image):
        pixels = np.asarray(example if example.mode in ("L", "RGB") else example.convert("RGB"), np.float32)
        return torch.from_numpy(pixels / 255).reshape(*pixels.shape[:2], -1).permute(2, 0, 1).contiguous()
    if type(example) is dict:
        return {key: _convert_images(value) for key, value in example.items()}
    if type(example) in (tuple, list):
        return type(example)(map(_convert_images, example))
    return example


def _contains_image(example: Any) -> bool:
    parts = [*example.values()] if type(example) is dict else example if type(example) in (tuple, list) else []
    return isinstance(example, Image.Image) or any(map(_contains_image, parts))


def _is_dataset(part: Any) -> bool:
    """Return whether an object provides single examples; loaders are iterable and cannot be indexed."""
    return isinstance(part, IterableDataset) or hasattr(part, "__getitem__")
