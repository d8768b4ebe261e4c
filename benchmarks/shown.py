"""What it costs to show: nothing, the default and everything, by the step and by the run, against a plain loop.

    python benchmarks/shown.py [--quick] [--rounds N]

"nothing" has neither loggers nor callbacks but the one that keeps steps lean; "default" is what a run has without being
asked; "everything" adds histograms in each epoch. The plain loop logs the loss, validates and saves (`plain.py`). Steps
are those of training alone, in steps a second; a run is the whole command in a warm process, with its test, in seconds.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from contest import DATA, Contest
from table import number
from works import WORKS, words_of

CHOICES = {
    "nothing": ["callbacks=[lean_steps]", "logger=none"],
    "default": [],
    "everything": ["callbacks=[default,histograms]"],
}
USUAL = ("xor", "diabetes", "stock", "mnist")


def measure(work: str, contest: Contest, folder: Path, rounds: int, *, quick: bool) -> list[str]:
    """Rows of the table: the medians, and the ratios of one round each."""
    words = words_of(work, folder, quick=quick)
    steps: dict[str, list[float]] = {"plain": []} | {choice: [] for choice in CHOICES}
    seconds: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    for place in range(rounds + 1):  # the first one is not counted: imports, data, first calls
        found = {"plain": contest.measure("plain", words)}
        found |= {choice: contest.measure("ours", [*words, *more]) for choice, more in CHOICES.items()}
        whole = {choice: 1 / contest.measure("ours", [*words, *more], what="whole") for choice, more in CHOICES.items()}
        for kept, new in ((steps, found), (seconds, whole)) if place else ():
            for name, value in new.items():
                kept[name].append(value)
    lines = []
    for name in CHOICES:
        to_plain = statistics.median(ours / plain for ours, plain in zip(steps[name], steps["plain"], strict=True))
        longer = statistics.median(own / bare for own, bare in zip(seconds[name], seconds["nothing"], strict=True))
        rate, run = statistics.median(steps[name]), statistics.median(seconds[name])
        lines.append(f"| {work} | {name} | {number(rate)} | {number(to_plain)} | {number(run)} s | {number(longer)} |")
    return lines


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter trainings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(USUAL), help=f"of {', '.join(WORKS)}")
    arguments = parser.parse_args()
    print("| work | shown | steps/s | of plain | whole run | of nothing's |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for work in arguments.only.split(","):
        if not (DATA / WORKS[work].needs).exists():
            print(f"not measured: {work}: {WORKS[work].needs} is not in {DATA}; set TRAINER_DATA_DIR", flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="shown_") as folder, Contest(Path(folder)) as contest:
            found = measure(work, contest, Path(folder), arguments.rounds, quick=arguments.quick)
            print("\n".join(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
