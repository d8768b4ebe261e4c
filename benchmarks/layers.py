"""Our linear and pooling layers compared with those of PyTorch, by size.

    python benchmarks/layers.py [--rounds N]

Linear layers: outputs and gradients; the ratio is 1 if `trainer.model.layers.onednn_linear` does not support the
processor. Pooling: only outputs, as in a validation; then complete networks with our pooling and that of PyTorch. Both
are measured in turn in each round; the table contains the median of the ratios.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import harness  # noqa: F401  measures this checkout
import torch
from table import format_number
from torch import Tensor, nn

from trainer.config.compose import Composer
from trainer.model.layers.max_pool import MaxPool2d
from trainer.model.layers.onednn_linear import MIN_PRODUCTS, Linear, is_onednn_faster
from trainer.training.build import build
from trainer.training.build_module import build_net

# rows, inputs and outputs: hidden layers of an MLP, then of GAN, CNN and attention of the tutorials
LINEAR_SHAPES = (
    *((64, 64, 64), (64, 128, 256), (64, 256, 256), (1024, 32, 64), (64, 512, 512)),
    *((64, 784, 512), (64, 1024, 784), (64, 3136, 128), (32_000, 128, 128), (32_000, 128, 384)),
)
# images, channels and side length: of digits_cnn, of the CNNs of the tutorials, of deeper ones
POOLING_SHAPES = (
    *((128, 32, 8), (128, 6, 28), (128, 16, 10), (128, 32, 28)),
    *((128, 64, 14), (128, 64, 32), (128, 128, 16)),
)
EXPERIMENTS = ("digits_cnn", "mnist_tutorial", "mnist_cnn", "cifar10_tutorial")


def forward_and_backward(layer: nn.Module, inputs: Tensor, gradient: Tensor) -> None:
    """Compute the outputs and all gradients."""
    torch.autograd.grad(layer(inputs), [inputs, *layer.parameters()], gradient)


def print_linear(rounds: int) -> None:
    """Print the table of linear layers."""
    print(f"oneDNN: {'yes' if is_onednn_faster() else 'no'}, from {format_number(MIN_PRODUCTS)} products")
    print_header("rows x inputs x outputs | products")
    for rows, n_inputs, n_outputs in LINEAR_SHAPES:
        inputs = torch.randn(rows, n_inputs, requires_grad=True)
        gradient = torch.randn(rows, n_outputs)
        functions = [
            partial(forward_and_backward, layer(n_inputs, n_outputs), inputs, gradient) for layer in (Linear, nn.Linear)
        ]
        products = format_number(rows * n_inputs * n_outputs)
        print_row(f"{format_shape(rows, n_inputs, n_outputs)} | {products}", functions, rounds)


def print_pooling(rounds: int) -> None:
    """Print the table of max-pooling."""
    print_header("images x channels x side | numbers")
    for images, channels, side in POOLING_SHAPES:
        inputs = torch.randn(images, channels, side, side).contiguous(memory_format=torch.channels_last)
        functions = [partial(layer, inputs) for layer in (MaxPool2d(), nn.MaxPool2d(2))]
        print_row(f"{format_shape(images, channels, side)} | {format_number(inputs.numel())}", functions, rounds)


@torch.inference_mode()
def print_networks(rounds: int) -> None:
    """Print the table of networks with pooling, for 128 images at a time."""
    print_header("images x channels x side | network of")
    for experiment in EXPERIMENTS:
        config = Composer().compose_checked([f"experiment={experiment}"])
        spec = build(config, "data").spec
        ours = build_net(config, spec).eval()
        reference = copy.deepcopy(ours)
        for name, layer in ours.named_modules():
            if isinstance(layer, MaxPool2d):
                reference.set_submodule(name, nn.MaxPool2d(2))
        functions = [partial(net, torch.randn(128, *spec.shape)) for net in (ours, reference)]
        print_row(f"{format_shape(128, *spec.shape[:2])} | `{experiment}`", functions, rounds)


def print_header(columns: str) -> None:
    """Print the header of a table with two leading columns."""
    print(f"| {columns} | ours, ms | PyTorch's, ms | speedup |\n| --- | ---: | ---: | ---: | ---: |")


def format_shape(*shape: int) -> str:
    """Return a shape as text."""
    return " x ".join(map(format_number, shape))


def print_row(columns: str, functions: Sequence[Callable[[], object]], rounds: int) -> None:
    """Measure ours and PyTorch's in turn, and print a row."""
    times = [[measure(function) for function in functions] for _ in range(rounds + 5)][5:]
    ours, reference = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    print(f"| {columns} | {' | '.join(map(format_number, (ours, reference, ratio)))} |", flush=True)


def measure(function: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    print_linear(rounds)
    print()
    print_pooling(rounds)
    print()
    print_networks(max(5, rounds // 5))
    return 0


if __name__ == "__main__":
    sys.exit(main())
