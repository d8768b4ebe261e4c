"""Spiral data set and a network with a sine activation."""

import torch
from torch import nn

from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split, random_split


class Spiral(TensorData):
    """Points of a spiral with three arms; the arm is the class."""

    def __init__(self, *, points: int = 400, batch_size: int = 32, seed: int = 0) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.points = points

    @property
    def spec(self) -> DataSpec:
        return DataSpec("spiral", "vector", (2,), "classification", 3, class_names=("one", "two", "three"))

    def load(self):
        radius = torch.linspace(0.5, 4, self.points)
        arm = torch.arange(self.points) % 3
        angle = radius + arm * 2.1
        points = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1)
        train, val, test = random_split(Split(points, arm), self.points // 2, self.points // 4, seed=0)
        return {"train": train, "val": val, "test": test}


class SineNet(nn.Module):
    """Two linear layers with a sine activation."""

    def __init__(self, spec: DataSpec, *, width: int = 64) -> None:
        super().__init__()
        spec.require("sine_net", "vector")
        self.first = nn.Linear(spec.shape[0], width)
        self.last = nn.Linear(width, spec.output_size)

    def forward(self, inputs):
        return self.last(torch.sin(3 * self.first(inputs)))
