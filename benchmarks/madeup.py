"""Made-up vectors, as many as one likes: what the cost of a step is measured on as the data grow."""

import torch

from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split, Stage


class MadeUp(TensorData):
    """Vectors of random numbers, and whether their first number is above 0.

    Args:
        rows: To train on; there are 1,000 more to validate on.
        features: Numbers in each.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    def __init__(self, *, rows: int, features: int = 32, batch_size: int, eval_batch_size: int = 1024, seed: int = 0):
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        self.rows, self.features = rows, features

    @property
    def spec(self) -> DataSpec:
        """Vectors, two classes."""
        return DataSpec("madeup", "vector", (self.features,), "classes", output_size=1, class_names=("no", "yes"))

    def load(self) -> dict[Stage, Split]:
        """Make them."""

        def made(rows: int) -> Split:
            inputs = torch.randn(rows, self.features)
            return Split(inputs, (inputs[:, 0] > 0).long())

        return {"train": made(self.rows), "val": made(1000), "test": made(1000)}
