"""Synthetic vectors in any number, to measure how the cost of a step depends on the data."""

import torch

from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split, Stage


class SyntheticVectors(TensorData):
    """Random vectors in two classes, by the sign of their first number.

    Args:
        rows: Training examples; there are 1,000 more for the validation and the test each.
        features: Numbers in each vector. Defaults to 32.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    def __init__(self, *, rows: int, features: int = 32, batch_size: int, eval_batch_size: int = 1024, seed: int = 0):
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        self.rows = rows
        self.features = features

    @property
    def spec(self) -> DataSpec:
        """Vectors, two classes."""
        return DataSpec(
            "synthetic", "vector", (self.features,), "classification", output_size=1, class_names=("no", "yes")
        )

    def load(self) -> dict[Stage, Split]:
        """Generate the splits."""

        def generate(rows: int) -> Split:
            inputs = torch.randn(rows, self.features)
            return Split(inputs, (inputs[:, 0] > 0).long())

        return {"train": generate(self.rows), "val": generate(1000), "test": generate(1000)}
