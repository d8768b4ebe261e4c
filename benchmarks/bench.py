"""Ours against a plain loop, the tutorials' scripts and the template's way, side by side in one run.

    python benchmarks/bench.py [--quick] [--rounds N] [--only GROUP,GROUP] [--keep NAME]

In each round the contestants take turns on the same net, data, batches and threads. Prints a table with the ratio (the
median over the rounds of ours by the rival's), how far it spread, the goal, and whether it is met. Everything that
was measured goes into benchmarks/history/, a file a run. The data are read from TRAINER_DATA_DIR, or from data/; work
whose data are not there is left out, and said to be.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import processes
import sweeps
from contest import DATA, HERE, Contest
from table import AND_DRAWING, BY_RECIPE, GROUPS, Round, contestants, lines
from works import LIKE, WORKS, words_of


def measure(group: str, contest: Contest, *, quick: bool) -> Round:
    """One round of a group: each contestant once, in turn."""
    folder = contest.folder
    if group == "start":
        return processes.start(folder)
    if group == "sweep":
        return processes.sweep(folder)
    if group in sweeps.MEASURES:
        return sweeps.MEASURES[group](folder, quick=quick)
    if group.startswith("memory_"):
        return processes.memory(LIKE[group], folder)
    if group == "test":  # a second or two, so that a short measurement is the same
        words = words_of("mnist", folder, quick=False)
        whats = dict.fromkeys(contestants(group), "test") | {AND_DRAWING: "whole_test"}
        return {name: contest.measure(name, words, what=what) for name, what in whats.items()}
    steps = WORKS[group].template_steps[0 if quick else 1]
    return {
        name: contest.measure(name, words_of(group, folder, quick=quick, by_recipe=name == BY_RECIPE), steps=steps)
        for name in contestants(group)
    }


def measure_all(groups: list[str], rounds: int, folder: Path, *, quick: bool) -> tuple[dict, dict]:
    """All rounds of each group, and why a group could not be measured."""
    found: dict[str, list[Round]] = {}
    failed: dict[str, str] = {}
    for group in groups:
        work = WORKS.get(LIKE.get(group, group))
        if work and not (DATA / work.needs).exists():
            failed[group] = f"{work.needs} is not in {DATA}; set TRAINER_DATA_DIR"
            continue
        with Contest(folder) as contest:
            try:
                if group in (*WORKS, "test"):
                    measure(group, contest, quick=quick)  # uncounted: imports, data, first calls
                for place in range(rounds):
                    found.setdefault(group, []).append(measure(group, contest, quick=quick))
                    say(f"{group} {place + 1}/{rounds}: {found[group][-1]}")
            except Exception as error:  # the other groups go on
                failed[group] = f"{type(error).__name__}: {error}"
                say(f"{group}: {failed[group]}\n{contest.last_words()}")
    return found, failed


def record(arguments: argparse.Namespace, found: dict, failed: dict) -> dict:
    """What is kept of a run."""
    root = HERE.parent
    commit = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "quick": arguments.quick,
        "cpu": processes.cpu(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "load_before": arguments.load,
        "load_after": os.getloadavg(),
        "versions": processes.versions(),
        "rounds": found,
        "failed": failed,
    }


def say(text: str) -> None:
    """Tell how far the run is, beside the table."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds: a few minutes")
    parser.add_argument("--rounds", type=int, help="of each group; 5, or 2 where it is to be quick")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--keep", default="", help="name of a record that git is to keep: history/kept_NAME.json")
    arguments = parser.parse_args()
    groups = arguments.only.split(",")
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    arguments.load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="bench_") as folder:
        rounds = arguments.rounds or (2 if arguments.quick else 5)
        found, failed = measure_all(groups, rounds, Path(folder), quick=arguments.quick)
    kept = record(arguments, found, failed)
    print("\n".join(lines(found)))
    for group, why in failed.items():
        print(f"not measured: {group}: {why.splitlines()[0]}")
    print(f"{kept['cpu']}, {kept['cores']} cores, threads: {kept['threads']}, load {kept['load_before'][0]:.1f} before")
    name = f"kept_{arguments.keep}" if arguments.keep else kept["date"].replace(":", "-")
    file = HERE / "history" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + "\n")
    print(f"record: {file.relative_to(HERE.parent)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
