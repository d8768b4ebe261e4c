"""Synthetic regression data set with noisy points on the line y = slope * x + intercept."""

import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.counter_rng import make_generator
from trainer.data.loading.split import Split, Stage, random_split
from trainer.data.preprocessing.tabular import make_passthrough


class Line(TensorData):
    """Noisy points on a line, with evenly spaced x.

    Args:
        points: Number of points in all splits together.
        slope: Slope of the true line.
        intercept: Value of the true line at x = 0.
        noise: Standard deviation of the normal noise on y; 0 for none.
        x_min: Smallest x.
        x_max: Largest x.
        val_fraction: Fraction of the points for validation, and the same for test; below 0.5. If 0, all splits contain
            all points.
        standardize_target: Whether the network learns y with mean 0 and standard deviation 1. Defaults to false: the
            weights of a linear network are then slope and intercept.
        data_seed: Seed of the noise and of the split; separate from the run's seed.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    preprocessing = make_passthrough(1)

    def __init__(
        self,
        *,
        points: int = 100,
        slope: float = 2.0,
        intercept: float = 1.0,
        noise: float = 0.1,
        x_min: float = 0.0,
        x_max: float = 1.0,
        val_fraction: float = 0.2,
        standardize_target: bool = False,
        data_seed: int = 0,
        batch_size: int = 16,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if points < 2:
            raise UserError(f"data.points: {points} points make no line; use at least 2")
        self.points = points
        self.slope = slope
        self.intercept = intercept
        self.noise = noise
        self.standardize_target = standardize_target
        self.x_min = x_min
        self.x_max = x_max
        self.val_fraction = val_fraction
        self.data_seed = data_seed

    @property
    def spec(self) -> DataSpec:
        """One feature, one value."""
        return DataSpec("line", "vector", (1,), "regression", output_size=1)

    def load(self) -> dict[Stage, Split]:
        """Generate the points and split them at random."""
        x = torch.linspace(self.x_min, self.x_max, self.points)[:, None]  # (points, 1)
        noise = torch.randn(x.shape, generator=make_generator("noise", self.data_seed)) * self.noise
        examples = Split(x, self.slope * x + self.intercept + noise)
        if not self.val_fraction:
            return {"train": examples, "val": examples, "test": examples}
        size = max(1, round(self.val_fraction * self.points))
        val, test, train = random_split(examples, size, size, seed=self.data_seed)
        return {"train": train, "val": val, "test": test}
