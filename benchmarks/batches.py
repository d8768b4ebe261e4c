"""Examples per second that a network evaluates in batches of several sizes, to choose `data.eval_batch_size`.

    python benchmarks/batches.py [EXPERIMENT ...] [--rounds N]

The network of an experiment, untrained, on random examples of full length. Reading, metrics and logs are left out.
"""

import argparse
import statistics
import sys
import time

import harness  # noqa: F401  measures this checkout
import torch
from table import format_number
from torch import Tensor, nn

from trainer.config.compose import Composer
from trainer.core.spec import DataSpec
from trainer.training.build import build
from trainer.training.build_module import build_net

SIZES = (16, 32, 64, 128, 256, 512, 1024)
EXPERIMENTS = ("mnist_cnn", "imdb_lstm")


def measure(net: nn.Module, examples: Tensor, size: int) -> float:
    """Return examples per second."""
    start = time.perf_counter()
    with torch.inference_mode():
        for batch in torch.split(examples, size):
            net(batch)
    return len(examples) / (time.perf_counter() - start)


def random_examples(spec: DataSpec, count: int) -> Tensor:
    """Return random examples that conform to a spec."""
    if spec.kind == "tokens":
        return torch.randint(2, spec.vocabulary_size, (count, *spec.shape))
    return torch.randn(count, *spec.shape)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| experiment | batch size | examples/s | of the maximum |\n| --- | ---: | ---: | ---: |")
    for experiment in arguments.experiments:
        config = Composer().compose_checked([f"experiment={experiment}", "data.synthetic=true"])
        spec = build(config, "data").spec
        net = build_net(config, spec).eval()
        examples = random_examples(spec, 2048)
        rates: dict[int, list[float]] = {size: [] for size in SIZES}
        for number in range(arguments.rounds + 1):
            for size in SIZES:
                rate = measure(net, examples, size)
                rates[size] += [rate] if number else []  # the first round is a warm-up
        medians = {size: statistics.median(values) for size, values in rates.items()}
        for size, median in medians.items():
            share = format_number(median / max(medians.values()))
            print(f"| {experiment} | {size} | {format_number(median)} | {share} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
