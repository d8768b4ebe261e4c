"""Synthetic data that replace data files and that a network learns easily.

They test a configuration without the files and without a network connection. The spec of a data set with
`synthetic: true` and all outputs of its runs are marked as synthetic.
"""

import numpy as np
import torch
from torch import Tensor

from trainer.core.spec import DataSpec
from trainer.data.io.series.time_series import TimeSeries
from trainer.data.loading.counter_rng import make_generator
from trainer.data.loading.split import Split, Stage

NUM_TRAIN_IMAGES = 2000
NUM_TEST_IMAGES = 1000
NUM_TRAIN_TEXTS = 2000
NUM_TEST_TEXTS = 500
VOCABULARY_SIZE = 500
MAX_WORDS_PER_TEXT = 60
NUM_ROWS = 759
NUM_DAYS = 1000


def make_images(spec: DataSpec, val_size: int) -> dict[Stage, Split]:
    """Return images as bytes: one pattern per class, the same in all splits, plus noise.

    Args:
        spec: Spec with the shape (channels, height, width) and the classes.
        val_size: Number of validation images.
    """
    channels, *size = spec.shape
    classes = len(spec.class_names)
    coarse = torch.rand(classes, channels, 4, 4, generator=make_generator("synthetic patterns"))
    patterns = torch.nn.functional.interpolate(coarse, size, mode="bilinear")

    def split(stage: Stage, count: int) -> Split:
        random = make_generator(f"synthetic {stage}")
        targets = torch.randint(classes, (count,), generator=random)
        noise = torch.rand(count, *spec.shape, generator=random)
        return Split((255 * (patterns[targets] + noise) / 2).byte(), targets)

    return {
        "train": split("train", NUM_TRAIN_IMAGES),
        "val": split("val", val_size),
        "test": split("test", NUM_TEST_IMAGES),
    }


def make_texts(classes: int, val_size: int) -> dict[Stage, tuple[list[str], list[int]]]:
    """Return texts and classes: random words from a vocabulary of 500; each class prefers some of them.

    Args:
        classes: Number of classes.
        val_size: Number of validation texts.
    """

    def split(stage: Stage, count: int) -> tuple[list[str], list[int]]:
        random = make_generator(f"synthetic {stage}")
        targets = torch.randint(classes, (count,), generator=random)
        size = (count, MAX_WORDS_PER_TEXT)
        uniform = torch.randint(VOCABULARY_SIZE, size, generator=random)
        preferred = torch.randint(VOCABULARY_SIZE // classes, size, generator=random) * classes + targets[:, None]
        tokens = torch.where(torch.rand(size, generator=random) < 0.2, preferred, uniform)
        lengths = torch.randint(5, MAX_WORDS_PER_TEXT, (count,), generator=random)
        rows = zip(tokens.tolist(), lengths.tolist(), strict=True)
        return [" ".join(f"word{token}" for token in row[:length]) for row, length in rows], targets.tolist()

    return {
        "train": split("train", NUM_TRAIN_TEXTS),
        "val": split("val", val_size),
        "test": split("test", NUM_TEST_TEXTS),
    }


def make_regression(features: int, count: int = NUM_ROWS) -> tuple[Tensor, Tensor]:
    """Return normal inputs (count, features) in float64 and noisy weighted sums of their rows (count,)."""
    random = make_generator("synthetic rows", features)
    inputs = torch.randn(count, features, generator=random, dtype=torch.float64)
    weights = torch.randn(features, generator=random, dtype=torch.float64)
    noise = torch.randn(count, generator=random, dtype=torch.float64)
    return inputs, inputs @ weights / features**0.5 + 0.3 * noise


def assign_quantile_classes(values: Tensor, classes: int) -> Tensor:
    """Return the classes of values (count,), split into quantiles of equal size; the lowest values are class 0."""
    return (values.argsort().argsort() * classes // len(values)).long()


def make_prices(columns: int = 1, count: int = NUM_DAYS) -> TimeSeries:
    """Return a random walk with daily changes of about 1 %, for every calendar day; each input column is the price."""
    steps = 0.01 * torch.randn(count, generator=make_generator("synthetic prices"), dtype=torch.float64)
    prices = 100 * steps.cumsum(0).exp()
    times = np.datetime64("2000-01-01", "s") + np.arange(count).astype("timedelta64[D]")
    return TimeSeries(times, prices, prices[:, None].repeat(1, columns), (True,) * columns)
