"""How many examples a network tells apart in a second, in batches of several sizes: what `data.eval_batch_size` is for.

    python benchmarks/batches.py [RECIPE ...] [--rounds N]

The network of a recipe, untrained, on random examples of full length. Reading, metrics and logs are left out.
"""

import argparse
import statistics
import sys
import time

import contest  # noqa: F401  this checkout is what is measured
import torch
from table import number
from torch import Tensor, nn

from trainer.config.compose import Composer
from trainer.core.spec import DataSpec
from trainer.training.build import build, build_net

SIZES = (16, 32, 64, 128, 256, 512, 1024)
RECIPES = ("mnist_cnn", "cifar10_cnn", "imdb_lstm")


def rate(net: nn.Module, examples: Tensor, size: int) -> float:
    """Examples a second."""
    began = time.perf_counter()
    with torch.inference_mode():
        for batch in torch.split(examples, size):
            net(batch)
    return len(examples) / (time.perf_counter() - began)


def made_up(spec: DataSpec, count: int) -> Tensor:
    """Random examples that keep the promise."""
    if spec.kind == "tokens":
        return torch.randint(2, spec.vocabulary_size, (count, *spec.shape))
    return torch.randn(count, *spec.shape)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| recipe | batches of | examples/s | of the most |\n| --- | ---: | ---: | ---: |")
    for recipe in arguments.recipes:
        config = Composer().config_of([f"experiment={recipe}", "data.synthetic=true"])
        spec = build(config, "data").spec
        net, examples = build_net(config, spec).eval(), made_up(spec, 2048)
        rates: dict[int, list[float]] = {size: [] for size in SIZES}
        for place in range(arguments.rounds + 1):  # the first one is not counted
            for size in SIZES:
                found = rate(net, examples, size)
                rates[size] += [found] if place else []
        most = max(statistics.median(found) for found in rates.values())
        for size, found in rates.items():
            middle = statistics.median(found)
            print(f"| {recipe} | {size} | {number(middle)} | {number(middle / most)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
