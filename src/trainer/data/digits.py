"""Digits data set of 1,797 handwritten digits of 8x8 pixels, included in this package."""

import gzip
from importlib.resources import files

import numpy as np
import torch

from trainer.core.spec import DataSpec, PositiveInt
from trainer.data.augmentation.augmentation import AugmentationSetting, parse_augmentation
from trainer.data.base import TensorData
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.folds import make_fold, random_fold_split
from trainer.data.loading.split import Split, Stage, random_split
from trainer.data.preprocessing.images import ImagePreprocessing


class Digits(TensorData):
    """Real handwritten digits, split at random into training, validation and test.

    Args:
        val_size, test_size: Number of images in validation and in test.
        folds, fold: Number of folds of a cross-validation, and the fold that is the test split; see `make_fold`.
        augmentation: Random changes of training images, e.g. `[flip, {crop: {padding: 4}}]`; see docs/data.md.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning
        Repository (CC BY 4.0): the 1,797 images of its test part, as scikit-learn ships them.
    """

    # values are the number of dark dots in a 4x4 cell of the scan
    preprocessing = ImagePreprocessing((1, 8, 8), mean=0.0, std=16.0, max_value=16)

    def __init__(
        self,
        *,
        val_size: PositiveInt = 180,
        test_size: PositiveInt = 360,
        folds: int | None = None,
        fold: int = 0,
        augmentation: AugmentationSetting = (),
        data_seed: int = 0,
        sampling: Sampling = None,
        batch_size: int = 64,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed, sampling=sampling)
        self.augmentation = parse_augmentation(augmentation)
        self.val_size = val_size
        self.test_size = test_size
        self.data_seed = data_seed
        self.fold = make_fold(folds, fold)

    @property
    def spec(self) -> DataSpec:
        """Grayscale images of 8x8 pixels, ten classes."""
        limits = self.preprocessing.value_range
        return DataSpec("digits", "image", (1, 8, 8), "classification", 10, tuple("0123456789"), value_range=limits)

    def load(self) -> dict[Stage, Split]:
        """Read the packaged table; each row has 64 pixels and the digit."""
        table = gzip.decompress(files("trainer.data").joinpath("digits.csv.gz").read_bytes()).decode()
        rows = torch.from_numpy(np.loadtxt(table.splitlines(), np.uint8, delimiter=","))  # (1797, 65)
        examples = Split(rows[:, :64].reshape(-1, 1, 8, 8), rows[:, 64].long())
        if self.fold:
            return random_fold_split(examples, self.fold, self.val_size, seed=self.data_seed)
        val, test, train = random_split(examples, self.val_size, self.test_size, seed=self.data_seed)
        return {"train": train, "val": val, "test": test}
