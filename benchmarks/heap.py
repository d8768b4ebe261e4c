"""What it gives that a run keeps the memory that its steps free: trainings and a test with it and without, by turns.

    python benchmarks/heap.py [--quick] [--rounds N] [--only WORK,WORK]

Without it glibc does as ever: `MALLOC_ARENA_TEST=8`, its own default, tells ours that the user sees to it.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from contest import DATA, Contest
from table import number
from works import LIKE, WORKS, words_of

USUAL = ("test", "mnist", "cifar10", "gan", "diabetes", "stock", "xor")
USERS = {"MALLOC_ARENA_TEST": "8"}


def measure(work: str, contest: Contest, folder: Path, *, quick: bool) -> float:
    """Of one round: how many times as fast it is with the memory kept."""
    words, what = words_of(LIKE.get(work, work), folder, quick=quick), "test" if work == "test" else "train"
    kept = contest.measure("ours", words, what=what)
    os.environ |= USERS  # for a process that begins now
    given_back = contest.measure("ours as ever", words, what=what)
    for name in USERS:
        os.environ.pop(name)
    return kept / given_back


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter trainings")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default=",".join(USUAL), help=f"of test, {', '.join(WORKS)}")
    arguments = parser.parse_args()
    print("| work | times as fast | from .. to |\n| --- | ---: | ---: |")
    for work in arguments.only.split(","):
        needs = WORKS[LIKE.get(work, work)].needs
        if not (DATA / needs).exists():
            print(f"not measured: {work}: {needs} is not in {DATA}; set TRAINER_DATA_DIR", flush=True)
            continue
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, Contest(Path(place)) as contest:
            folder, quick = Path(place), arguments.quick and work != "test"
            # the first one is not counted: imports, data, first calls
            found = [measure(work, contest, folder, quick=quick) for _ in range(arguments.rounds + 1)][1:]
        spread = f"{number(min(found))} .. {number(max(found))}"
        print(f"| {work} | {number(statistics.median(found))} | {spread} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
