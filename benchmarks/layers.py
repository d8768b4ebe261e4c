"""Our linear layer and our pooling against PyTorch's own: what they are for, and from which size.

    python benchmarks/layers.py [--rounds N]

Linear layers: outputs and gradients; the ratio is 1 if `trainer.model.layers.onednn_linear` does not use the
processor.
Pooling: outputs alone, as in a validation; then whole networks with ours and with PyTorch's. The ratio is of one round,
in which both take turns; printed is the median.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import contest  # noqa: F401  this checkout is what is measured
import torch
from table import number
from torch import Tensor, nn

from trainer.config.compose import Composer
from trainer.model.layers.max_pool import MaxPool2d
from trainer.model.layers.onednn_linear import FEWEST_PRODUCTS, Linear, is_faster
from trainer.training.build import build, build_net

# rows, inputs and outputs: hidden layers of a perceptron, then of GAN, CNN and attention of the tutorials
PRODUCTS = (
    *((64, 64, 64), (64, 128, 256), (64, 256, 256), (1024, 32, 64), (64, 512, 512)),
    *((64, 784, 512), (64, 1024, 784), (64, 3136, 128), (32_000, 128, 128), (32_000, 128, 384)),
)
# images, channels and side: of digits_cnn, of the CNNs of the tutorials, of cifar10_cnn
POOLED = ((128, 32, 8), (128, 6, 28), (128, 16, 10), (128, 32, 28), (128, 64, 14), (128, 64, 32), (128, 128, 16))
RECIPES = ("digits_cnn", "mnist_tutorial", "mnist_cnn", "cifar10_tutorial", "cifar10_cnn")


def learn(layer: nn.Module, inputs: Tensor, gradient: Tensor) -> None:
    """Outputs and all gradients."""
    torch.autograd.grad(layer(inputs), [inputs, *layer.parameters()], gradient)


def linear(rounds: int) -> None:
    """Print the table of linear layers."""
    print(f"oneDNN: {'yes' if is_faster() else 'no'}, from {number(FEWEST_PRODUCTS)} products on")
    print(head("rows x inputs x outputs | products"))
    for rows, before, after in PRODUCTS:
        inputs, gradient = torch.randn(rows, before, requires_grad=True), torch.randn(rows, after)
        works = [partial(learn, kind(before, after), inputs, gradient) for kind in (Linear, nn.Linear)]
        print_row(f"{shown(rows, before, after)} | {number(rows * before * after)}", works, rounds)


def pooling(rounds: int) -> None:
    """Print the table of max-pooling."""
    print(head("images x channels x side | numbers"))
    for images, channels, side in POOLED:
        given = torch.randn(images, channels, side, side).contiguous(memory_format=torch.channels_last)
        works = [partial(layer, given) for layer in (MaxPool2d(), nn.MaxPool2d(2))]
        print_row(f"{shown(images, channels, side)} | {number(given.numel())}", works, rounds)


@torch.inference_mode()
def networks(rounds: int) -> None:
    """Print the table of networks that pool, 128 images at a time."""
    print(head("images x channels x side | network of"))
    for recipe in RECIPES:
        config = Composer().config_of([f"experiment={recipe}"])
        spec = build(config, "data").spec
        ours = build_net(config, spec).eval()
        usual = copy.deepcopy(ours)
        for name, layer in ours.named_modules():
            if isinstance(layer, MaxPool2d):
                usual.set_submodule(name, nn.MaxPool2d(2))
        works = [partial(net, torch.randn(128, *spec.shape)) for net in (ours, usual)]
        print_row(f"{shown(128, *spec.shape[:2])} | `{recipe}`", works, rounds)


def head(what: str) -> str:
    """Of a table, whose first two columns are these."""
    return f"| {what} | ours, ms | PyTorch's, ms | times as fast |\n| --- | ---: | ---: | ---: | ---: |"


def shown(*shape: int) -> str:
    """A shape, as in the first column."""
    return " x ".join(map(number, shape))


def print_row(what: str, works: Sequence[Callable[[], object]], rounds: int) -> None:
    """Ours and PyTorch's, by turns."""
    times = [[seconds(work) for work in works] for _ in range(rounds + 5)][5:]
    ours, theirs = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
    ratio = statistics.median(their / our for our, their in times)
    print(f"| {what} | {' | '.join(map(number, (ours, theirs, ratio)))} |", flush=True)


def seconds(work: Callable[[], object]) -> float:
    """That it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    linear(rounds)
    print()
    pooling(rounds)
    print()
    networks(max(5, rounds // 5))
    return 0


if __name__ == "__main__":
    sys.exit(main())
