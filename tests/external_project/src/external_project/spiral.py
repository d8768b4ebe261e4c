"""Two arms of a spiral, and a network that begins with sines."""

import torch
from torch import nn

from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split, cut


class Spiral(TensorData):
    """Points in the plane; the arm they lie on is their class."""

    def __init__(self, *, points: int = 400, batch_size: int = 32, seed: int = 0) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.points = points

    @property
    def spec(self) -> DataSpec:
        return DataSpec("spiral", "vector", (2,), "classes", 3, class_names=("one", "two", "three"))

    def load(self):
        turn = torch.linspace(0.5, 4, self.points)
        arm = torch.arange(self.points) % 3
        angle = turn + arm * 2.1
        points = torch.stack([turn * torch.cos(angle), turn * torch.sin(angle)], 1)
        train, val, test = cut(Split(points, arm), self.points // 2, self.points // 4, seed=0)
        return {"train": train, "val": val, "test": test}


class SineNet(nn.Module):
    """sin(Wx) and a linear layer."""

    def __init__(self, spec: DataSpec, *, width: int = 64) -> None:
        super().__init__()
        spec.require("sine_net", "vector")
        self.first, self.last = nn.Linear(spec.shape[0], width), nn.Linear(width, spec.output_size)

    def forward(self, inputs):
        return self.last(torch.sin(3 * self.first(inputs)))
