"""Classification data set of numbers below or above a threshold."""

import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split, Stage
from trainer.data.preprocessing.tabular import make_passthrough


class Threshold(TensorData):
    """The points 1, 2, ...; the lower half is one class and the upper half the other.

    Every split contains all points. Six points, as in the tutorials' logistic regression, have a threshold of 3.5.

    Args:
        points: Number of points; even.
        batch_size, eval_batch_size, seed, repeats: See `TensorData`.

    Raises:
        UserError: If `points` is odd or below 2.
    """

    preprocessing = make_passthrough(1)

    def __init__(
        self, *, points: int = 6, batch_size: int = 6, eval_batch_size: int = 1024, seed: int = 0, repeats: int = 1
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed, repeats=repeats)
        if points < 2 or points % 2:
            raise UserError(f"data.points: {points} cannot be halved; use an even number")
        self.points = points

    @property
    def spec(self) -> DataSpec:
        """One feature, two classes."""
        return DataSpec("threshold", "vector", (1,), "classification", output_size=1, class_names=("below", "above"))

    def load(self) -> dict[Stage, Split]:
        """Return the points as every split."""
        x = torch.arange(1.0, self.points + 1)[:, None]  # (points, 1)
        points = Split(x, (x[:, 0] > self.points / 2 + 0.5).long())
        return {"train": points, "val": points, "test": points}
