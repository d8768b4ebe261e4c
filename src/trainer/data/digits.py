"""Digits: 1,797 handwritten digits of 8x8 pixels that come with this package, so a first run needs no download."""

import gzip
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from trainer.core.spec import Count, DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.augment import random_affine
from trainer.data.loading.counter_rng import Draws
from trainer.data.loading.split import Split, Stage, cut
from trainer.data.preprocessing.images import Images


class Digits(TensorData):
    """Real handwritten digits, cut at random into train, validation and test.

    Args:
        val_size, test_size: Images kept for validation and for the test.
        shift_pixels: Training images are shifted at random by up to this much along each axis.
        data_seed: Of the cut; not the run's seed, so that runs compare.
        batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning
        Repository (CC BY 4.0): the 1,797 images of its test part, as scikit-learn ships them.
    """

    preprocessing = Images((1, 8, 8), mean=0.0, deviation=16.0, highest=16)  # dark dots in a 4x4 cell of the scan

    def __init__(
        self,
        *,
        val_size: Count = 180,
        test_size: Count = 360,
        shift_pixels: float = 0.0,
        data_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        self.val_size, self.test_size, self.shift_pixels, self.data_seed = val_size, test_size, shift_pixels, data_seed

    @property
    def spec(self) -> DataSpec:
        """Grey images of 8x8 pixels, ten classes."""
        return DataSpec("digits", "image", (1, 8, 8), "classes", 10, tuple("0123456789"), value_range=(0.0, 1.0))

    def load(self) -> dict[Stage, Split]:
        """Read the packaged table: 64 pixels and the digit in each row."""
        table = gzip.decompress(files("trainer.data").joinpath("digits.csv.gz").read_bytes()).decode()
        rows = torch.from_numpy(np.loadtxt(table.splitlines(), np.uint8, delimiter=","))  # (1797, 65)
        examples = Split(rows[:, :64].reshape(-1, 1, 8, 8), rows[:, 64].long())
        val, test, train = cut(examples, self.val_size, self.test_size, seed=self.data_seed)
        return {"train": train, "val": val, "test": test}

    def augment(self, inputs: Tensor, random: Draws) -> Tensor:
        """Shift each image at random."""
        return random_affine(inputs, random, degrees=0, shift_pixels=self.shift_pixels, scale=0, fill=0.0)
