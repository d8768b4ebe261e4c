"""Line: points along y = slope * x + intercept with noise, for a first regression."""

import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.counter_rng import generator_for
from trainer.data.loading.split import Split, Stage, cut
from trainer.data.preprocessing.tabular import plain


class Line(TensorData):
    """Noisy points on a line, x evenly spaced over an interval.

    Args:
        points: How many, all splits together.
        slope: Of the true line.
        intercept: Of the true line, its value at x = 0.
        noise: Standard deviation of the normal noise on y; 0 for none.
        x_min: Least x.
        x_max: Greatest x.
        val_share: Share of the points, below 0.5, kept for validation, and as many for test. At 0 both read the
            training points, for sets too small to be cut.
        standardize_target: Whether the network learns y with mean 0 and standard deviation 1. By default it learns y
            as it is, and a linear network's weights are slope and intercept.
        data_seed: Of the noise and of the cut; not the run's seed, so that runs compare.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    preprocessing = plain(1)

    def __init__(
        self,
        *,
        points: int = 100,
        slope: float = 2.0,
        intercept: float = 1.0,
        noise: float = 0.1,
        x_min: float = 0.0,
        x_max: float = 1.0,
        val_share: float = 0.2,
        standardize_target: bool = False,
        data_seed: int = 0,
        batch_size: int = 16,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if points < 2:
            raise UserError(f"data.points: {points} points make no line; use at least 2")
        self.points, self.slope, self.intercept, self.noise = points, slope, intercept, noise
        self.standardize_target = standardize_target
        self.x_min, self.x_max, self.val_share, self.data_seed = x_min, x_max, val_share, data_seed

    @property
    def spec(self) -> DataSpec:
        """One feature, one value."""
        return DataSpec("line", "vector", (1,), "values", output_size=1)

    def load(self) -> dict[Stage, Split]:
        """Draw the points and cut them at random."""
        x = torch.linspace(self.x_min, self.x_max, self.points)[:, None]  # (points, 1)
        noise = torch.randn(x.shape, generator=generator_for("noise", self.data_seed)) * self.noise
        examples = Split(x, self.slope * x + self.intercept + noise)
        if not self.val_share:
            return {"train": examples, "val": examples, "test": examples}
        held_out = max(1, round(self.val_share * self.points))
        val, test, train = cut(examples, held_out, held_out, seed=self.data_seed)
        return {"train": train, "val": val, "test": test}
