"""Processor time of each augmentation for a training batch of 128 color images of 32x32 pixels.

OMP_NUM_THREADS=1 python benchmarks/augmentation.py [--rounds N]
"""

import argparse
import statistics
import sys
import time
from itertools import islice

import harness  # noqa: F401  measures this checkout

from trainer.data.augmentation.augmentation import STEPS
from trainer.data.cifar10 import CIFAR10
from trainer.data.loading.tensor_loader import TensorLoader

BATCHES = 20


def make_loader(entries: list[object]) -> TensorLoader:
    """Return the training batches of synthetic images."""
    data = CIFAR10(synthetic=True, batch_size=128, augmentation=entries)
    data.setup("fit")
    return data.train_dataloader()


def measure(loader: TensorLoader) -> float:
    """Return milliseconds of processor time per batch, including reading and conversion."""
    start = time.process_time()
    for _ in islice(loader, BATCHES):
        pass
    return 1000 * (time.process_time() - start) / BATCHES


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    settings: dict[str, list[object]] = {"none": []}
    settings |= {name: [{name: {"degrees": 10, "scale": 0.1}} if name == "affine" else name] for name in STEPS}
    loaders = {name: make_loader(entries) for name, entries in settings.items()}
    for loader in loaders.values():
        measure(loader)  # warm-up
    times = {name: [measure(loader) for _ in range(arguments.rounds)] for name, loader in loaders.items()}
    print("| augmentation | ms per batch |\n| --- | ---: |")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
