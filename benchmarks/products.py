"""Our linear layer against PyTorch's, outputs and gradients: what `trainer.model.onednn` is for, and from which size.

    python benchmarks/products.py [--rounds N]

The ratio is of one round, in which both take turns; printed is the median. 1 where the processor is not one for it.
"""

import argparse
import statistics
import sys
import time

import contest  # noqa: F401  this checkout is what is measured
import torch
from table import number
from torch import Tensor, nn

from trainer.model.onednn import FEWEST_PRODUCTS, Linear, is_faster

# rows, inputs and outputs: hidden layers of a perceptron, then of GAN, CNN and attention of the tutorials
SHAPES = (
    *((64, 64, 64), (64, 128, 256), (64, 256, 256), (1024, 32, 64), (64, 512, 512)),
    *((64, 784, 512), (64, 1024, 784), (64, 3136, 128), (32_000, 128, 128), (32_000, 128, 384)),
)


def seconds(layer: nn.Module, inputs: Tensor, gradient: Tensor) -> float:
    """For outputs and all gradients."""
    began = time.perf_counter()
    torch.autograd.grad(layer(inputs), [inputs, *layer.parameters()], gradient)
    return time.perf_counter() - began


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    print(f"oneDNN: {'yes' if is_faster() else 'no'}, from {number(FEWEST_PRODUCTS)} products on")
    print("| rows x inputs x outputs | products | ours, ms | PyTorch's, ms | times as fast |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for rows, before, after in SHAPES:
        layers = Linear(before, after), nn.Linear(before, after)
        inputs, gradient = torch.randn(rows, before, requires_grad=True), torch.randn(rows, after)
        times = [[seconds(layer, inputs, gradient) for layer in layers] for _ in range(rounds + 5)][5:]
        ours, theirs = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
        ratio = statistics.median(their / our for our, their in times)
        shape = f"{number(rows)} x {number(before)} x {number(after)}"
        cells = (shape, *map(number, (rows * before * after, ours, theirs, ratio)))
        print(f"| {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
