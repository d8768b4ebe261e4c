"""Steps per second with a network or a LightningModule of a user, relative to the same training with ours.

    python benchmarks/user_code.py [--rounds N]

All trainings have the same data, architecture, optimizer, callbacks and loggers:

- network: a plain `nn.Module` without our layers, as `model.net`;
- module: a LightningModule with this network, its own loss and its own optimizer;
- module, Lightning's loop: the same without the fast loop.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from harness import Harness
from table import format_number
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_accuracy

DIGITS = ["data=digits", "data.batch_size=16", "trainer.max_epochs=20", "optimizer.fused=true"]
MODULE = ["data=digits", "data.batch_size=16", "trainer.max_epochs=20", "model=custom"]
MODULE += ["model._target_=user_code.Module", "callbacks.checkpoint.monitor=val/loss"]
VARIANTS = {
    "ours": [*DIGITS, "model=mlp", "model.net.hidden=[64]"],
    "network": [*DIGITS, "model=custom", "model._target_=trainer.Supervised", "+model.net._target_=user_code.Net"],
    "module": MODULE,
    "module, Lightning's loop": [*MODULE, "~callbacks.fast_loop"],
}


class Net(nn.Module):
    """The architecture of `model=mlp` without our layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)  # type: ignore[no-any-return]


class Module(pl.LightningModule):
    """A LightningModule that knows nothing of this project."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        inputs, targets = batch
        loss = cross_entropy(self.net(inputs), targets)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        inputs, targets = batch
        outputs = self.net(inputs)
        self.log("val/loss", cross_entropy(outputs, targets))
        self.log("val/accuracy", multiclass_accuracy(outputs, targets, 10))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.001, fused=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="user_code_") as directory, Harness(Path(directory)) as harness:
        for _ in range(rounds + 1):
            for name, overrides in VARIANTS.items():
                rates[name].append(harness.measure("ours", overrides))
    print("| training | steps per second | ratio | range |\n|---|---|---|---|")
    for name, values in rates.items():
        ratios = [value / ours for value, ours in zip(values[1:], rates["ours"][1:], strict=True)]  # without warm-up
        cells = map(format_number, (statistics.median(values[1:]), statistics.median(ratios), min(ratios), max(ratios)))
        rate, ratio, low, high = cells
        print(f"| {name} | {rate} | {ratio} | {low} .. {high} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
