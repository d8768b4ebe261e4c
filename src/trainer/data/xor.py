"""XOR: the four points that no linear network can tell apart."""

import torch

from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split, Stage
from trainer.data.preprocessing.tabular import plain


class XOR(TensorData):
    """The four points of exclusive or; they are all there is, so every split holds the same four.

    Source:
        Minsky and Papert 1969, Perceptrons.
    """

    preprocessing = plain(2)

    @property
    def spec(self) -> DataSpec:
        """Two features, two classes."""
        return DataSpec("xor", "vector", (2,), "classes", output_size=1, class_names=("false", "true"))

    def load(self) -> dict[Stage, Split]:
        """Write down the truth table."""
        inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        points = Split(inputs, torch.tensor([0, 1, 1, 0]))
        return {"train": points, "val": points, "test": points}
