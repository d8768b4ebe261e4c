"""Cost of a step as a function of the batch size, the width of the net, the data, the metrics and the callbacks.

    python benchmarks/growth.py [--steps N] [--rounds N]

Ours and the plain loop train an MLP on synthetic vectors of 32 numbers, with a validation on 1,000 of them after each
epoch. One quantity varies at a time. Prints a table and writes the chart docs/growth.svg.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from chart import Panel, draw
from harness import BENCHMARK_DIR, Harness
from table import format_number

DATA = ["data=xor", "~data.repeats", "data._target_=synthetic_data.SyntheticVectors", "model=mlp"]
DEFAULTS = {"data.batch_size": 64, "model.net.hidden": "[64]", "+data.rows": 10_000, "objective.metrics": "[accuracy]"}
EXTRA_CALLBACKS = "early_stopping,gradient_clipping"
AXES: dict[str, list[tuple[str, list[str]]]] = {
    "batch size": [(str(size), [f"data.batch_size={size}"]) for size in (16, 64, 256, 1024)],
    "width": [(str(width), [f"model.net.hidden=[{width}]"]) for width in (16, 64, 256, 1024)],
    "rows": [(f"1e{power}", [f"+data.rows={10**power}"]) for power in (3, 4, 5, 6)],
    "metrics": [
        ("1", []),
        ("3", ["objective.metrics=[accuracy,auroc,f1]"]),
        ("5", ["objective.metrics=[accuracy,auroc,f1,precision,recall]"]),
    ],
    "callbacks": [
        ("only checkpoint", ["callbacks=[fast_loop,checkpoint]"]),
        ("default", []),
        ("and 2 more", [f"callbacks=[default,{EXTRA_CALLBACKS}]", "callbacks.early_stopping.patience=1000"]),
    ],
}


def build_overrides(changes: list[str], steps: int) -> list[str]:
    """Return the overrides of a training of about this number of steps."""
    settings = DEFAULTS | dict(change.split("=", 1) for change in changes)
    epoch_steps = -(-int(settings["+data.rows"]) // int(settings["data.batch_size"]))
    length = [f"trainer.max_epochs={max(1, steps // epoch_steps)}", f"+trainer.limit_train_batches={steps}"]
    return [*DATA, *(f"{key}={value}" for key, value in settings.items()), *length]


def measure(axis: str, harness: Harness, steps: int, n_rounds: int) -> Panel:
    """Return the median steps per second of both contestants along an axis."""
    medians: dict[str, list[float]] = {"ours": [], "plain": []}
    for label, changes in AXES[axis]:
        overrides = build_overrides(changes, steps)
        rounds = [{name: harness.measure(name, overrides) for name in medians} for _ in range(n_rounds + 1)]
        for name, values in medians.items():
            values.append(statistics.median(rates[name] for rates in rounds[1:]))  # the first round is a warm-up
        ours, plain = (values[-1] for values in medians.values())
        rates = f"{format_number(ours)} | {format_number(plain)} | {format_number(ours / plain)}"
        print(f"| {axis} | {label} | {rates} |", flush=True)
    return Panel(axis, [label for label, _ in AXES[axis]], medians)


def main() -> int:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="steps of each training")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| axis | value | ours, steps/s | plain | ratio |\n| --- | --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="growth_") as directory, Harness(Path(directory)) as harness:
        panels = [measure(axis, harness, arguments.steps, arguments.rounds) for axis in AXES]
    file = BENCHMARK_DIR.parent / "docs" / "growth.svg"
    file.write_text(draw(panels, "Steps per second (logarithmic)"))
    print(f"chart: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
