"""Data set of the four points of exclusive or, which no linear network can classify."""

import torch

from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split, Stage
from trainer.data.preprocessing.tabular import make_passthrough


class XOR(TensorData):
    """The four points of exclusive or; every split contains all four.

    Source:
        Minsky and Papert 1969, Perceptrons.
    """

    preprocessing = make_passthrough(2)

    @property
    def spec(self) -> DataSpec:
        """Two features, two classes."""
        return DataSpec("xor", "vector", (2,), "classification", output_size=1, class_names=("false", "true"))

    def load(self) -> dict[Stage, Split]:
        """Return the truth table as every split."""
        inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        points = Split(inputs, torch.tensor([0, 1, 1, 0]))
        return {"train": points, "val": points, "test": points}
