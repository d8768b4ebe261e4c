"""Cost of logs and plots for each step and for each run: nothing, the default and everything, against a plain loop.

    python benchmarks/visualization_overhead.py [--quick] [--rounds N]

"nothing" has no loggers and only the callback of the fast loop; "default" is a run without overrides; "without training
metrics" measures no training examples in a validation; "everything" adds histograms in each epoch. The plain loop logs
the loss, validates and saves (`plain.py`). Steps are those of the training in steps per second; a run is the complete
command in a warm process, with its test, in seconds.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from harness import DATA_DIR, Harness
from table import format_number
from workloads import WORKLOADS, build_overrides

VARIANTS = {
    "nothing": ["callbacks=[fast_loop]", "logger=none"],
    "default": [],
    "without training metrics": ["objective.training_examples=0"],
    "everything": ["callbacks=[default,histograms]"],
}
DEFAULT_WORKLOADS = ("xor", "diabetes", "stock", "mnist")


def measure(workload: str, harness: Harness, directory: Path, rounds: int, *, quick: bool) -> list[str]:
    """Return rows of the table: the medians, and the median ratio of each round."""
    overrides = build_overrides(workload, directory, quick=quick)
    rates: dict[str, list[float]] = {"plain": []} | {name: [] for name in VARIANTS}
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for number in range(rounds + 1):
        new_rates = {"plain": harness.measure("plain", overrides)}
        new_seconds = {}
        for name, extra in VARIANTS.items():
            new_rates[name] = harness.measure("ours", [*overrides, *extra])
        for name, extra in VARIANTS.items():
            new_seconds[name] = 1 / harness.measure("ours", [*overrides, *extra], function="run_all")
        if number:  # the first round is a warm-up
            for results, values in ((rates, new_rates), (seconds, new_seconds)):
                for name, value in values.items():
                    results[name].append(value)
    rows = []
    for name in VARIANTS:
        speed = statistics.median(ours / plain for ours, plain in zip(rates[name], rates["plain"], strict=True))
        slowdown = statistics.median(a / b for a, b in zip(seconds[name], seconds["nothing"], strict=True))
        rate, run = (format_number(statistics.median(values)) for values in (rates[name], seconds[name]))
        ratios = f"{format_number(speed)} | {run} s | {format_number(slowdown)}"
        rows.append(f"| {workload} | {name} | {rate} | {ratios} |")
    return rows


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter trainings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(DEFAULT_WORKLOADS), help=f"some of {', '.join(WORKLOADS)}")
    arguments = parser.parse_args()
    print("| workload | variant | steps/s | of plain | run | of nothing |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for workload in arguments.only.split(","):
        needs = WORKLOADS[workload].needs
        if not (DATA_DIR / needs).exists():
            print(f"not measured: {workload}: {needs} is not in {DATA_DIR}; set TRAINER_DATA_DIR", flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="visualization_") as directory, Harness(Path(directory)) as harness:
            rows = measure(workload, harness, Path(directory), arguments.rounds, quick=arguments.quick)
            print("\n".join(rows), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
