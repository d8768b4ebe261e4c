"""How the cost of a step grows: with the batch, the net's width, the data, the metrics and the callbacks.

    python benchmarks/growth.py [--steps N] [--rounds N]

Ours beside the plain loop, an MLP on made-up vectors of 32 numbers, with validation on 1,000 of them after each
epoch. One thing grows at a time. Prints a table, and draws it into docs/growth.svg.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from chart import Panel, draw
from contest import HERE, Contest
from table import number

DATA = ["data=xor", "~data.repeats", "data._target_=madeup.MadeUp", "model=mlp"]
USUAL = {"data.batch_size": 64, "model.net.hidden": "[64]", "+data.rows": 10_000, "objective.metrics": "[accuracy]"}
EXTRA = "early_stopping,gradient_clipping"
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
        ("checkpoint alone", ["callbacks=[lean_steps,checkpoint]"]),
        ("default", []),
        ("and 2 more", [f"callbacks=[default,{EXTRA}]", "callbacks.early_stopping.patience=1000"]),
    ],
}


def words_for(changes: list[str], steps: int) -> list[str]:
    """What ours is told, so that it takes about so many steps."""
    settings = USUAL | dict(change.split("=", 1) for change in changes)
    an_epoch = -(-int(settings["+data.rows"]) // int(settings["data.batch_size"]))
    length = [f"trainer.max_epochs={max(1, steps // an_epoch)}", f"+trainer.limit_train_batches={steps}"]
    return [*DATA, *(f"{key}={value}" for key, value in settings.items()), *length]


def measure(axis: str, contest: Contest, steps: int, rounds: int) -> Panel:
    """Steps a second of both along an axis: the medians."""
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for label, changes in AXES[axis]:
        words = words_for(changes, steps)
        found = [{name: contest.measure(name, words) for name in rates} for _ in range(rounds + 1)][1:]
        for name, values in rates.items():
            values.append(statistics.median(one[name] for one in found))
        ours, plain = (values[-1] for values in rates.values())
        print(f"| {axis} | {label} | {number(ours)} | {number(plain)} | {number(ours / plain)} |", flush=True)
    return Panel(axis, [label for label, _ in AXES[axis]], rates)


def main() -> int:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="of each training")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| what grows | to | ours, steps/s | plain | ratio |\n| --- | --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="growth_") as folder, Contest(Path(folder)) as contest:
        panels = [measure(axis, contest, arguments.steps, arguments.rounds) for axis in AXES]
    file = HERE.parent / "docs" / "growth.svg"
    file.write_text(draw(panels, "Steps a second (logarithmic)"))
    print(f"drawn: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
