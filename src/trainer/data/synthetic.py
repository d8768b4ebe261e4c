"""Stand-ins for data that are not at hand: made up, of the same shape, and so easy that a network learns them.

They show that everything holds together, on a machine without the files and without a network; they say nothing about
the real data. A data set with `synthetic: true` says so in its spec, and every output of the run with it.
"""

from datetime import date, timedelta

import torch
from torch import Tensor

from trainer.core.spec import DataSpec
from trainer.data.io.price_csv import Prices
from trainer.data.loading.counter_rng import generator_for
from trainer.data.loading.split import Split, Stage

IMAGES_TO_TRAIN, IMAGES_TO_TEST = 2000, 1000
TEXTS_TO_TRAIN, TEXTS_TO_TEST = 2000, 500
WORDS, LONGEST = 500, 60  # different words; words in a text
ROWS = 759
DAYS = 1000


def images(spec: DataSpec, val_size: int) -> dict[Stage, Split]:
    """Images of bytes: of each class one pattern of its own, the same in all splits, under noise.

    Args:
        spec: Shape (channels, height, width) and classes.
        val_size: Images for validation.
    """
    (channels, *size), classes = spec.shape, len(spec.class_names)
    coarse = torch.rand(classes, channels, 4, 4, generator=generator_for("synthetic patterns"))
    patterns = torch.nn.functional.interpolate(coarse, size, mode="bilinear")

    def split(stage: Stage, count: int) -> Split:
        random = generator_for(f"synthetic {stage}")
        targets = torch.randint(classes, (count,), generator=random)
        noise = torch.rand(count, *spec.shape, generator=random)
        return Split((255 * (patterns[targets] + noise) / 2).byte(), targets)

    return {
        "train": split("train", IMAGES_TO_TRAIN),
        "val": split("val", val_size),
        "test": split("test", IMAGES_TO_TEST),
    }


def texts(classes: int, val_size: int) -> dict[Stage, tuple[list[str], list[int]]]:
    """Reviews and their classes: words drawn from 500, of which each class prefers some.

    Args:
        classes: How many.
        val_size: Reviews for validation.
    """

    def split(stage: Stage, count: int) -> tuple[list[str], list[int]]:
        random = generator_for(f"synthetic {stage}")
        targets = torch.randint(classes, (count,), generator=random)
        anything = torch.randint(WORDS, (count, LONGEST), generator=random)
        preferred = torch.randint(WORDS // classes, (count, LONGEST), generator=random) * classes + targets[:, None]
        numbers = torch.where(torch.rand(count, LONGEST, generator=random) < 0.2, preferred, anything)
        lengths = torch.randint(5, LONGEST, (count,), generator=random)
        rows_of_numbers = zip(numbers.tolist(), lengths.tolist(), strict=True)
        return [" ".join(f"word{n}" for n in row[:length]) for row, length in rows_of_numbers], targets.tolist()

    return {
        "train": split("train", TEXTS_TO_TRAIN),
        "val": split("val", val_size),
        "test": split("test", TEXTS_TO_TEST),
    }


def rows(features: int, count: int = ROWS) -> tuple[Tensor, Tensor]:
    """Normal numbers (count, features) in float64, and a weighted sum of each row with noise: (count,)."""
    random = generator_for("synthetic rows", features)
    inputs = torch.randn(count, features, generator=random, dtype=torch.float64)
    weights = torch.randn(features, generator=random, dtype=torch.float64)
    noise = torch.randn(count, generator=random, dtype=torch.float64)
    return inputs, inputs @ weights / features**0.5 + 0.3 * noise


def classes_of(values: Tensor, classes: int) -> Tensor:
    """Cut values (count,) into classes of equal size: the lowest are class 0."""
    return (values.argsort().argsort() * classes // len(values)).long()


def prices(count: int = DAYS) -> Prices:
    """A price that goes up or down by about 1 % a day, by chance; weekends are days like others."""
    steps = 0.01 * torch.randn(count, generator=generator_for("synthetic prices"), dtype=torch.float64)
    return Prices([date(2000, 1, 1) + timedelta(day) for day in range(count)], 100 * steps.cumsum(0).exp())
