"""Ours against a plain loop, the tutorials' scripts and lightning-hydra-template, in one run.

    python benchmarks/bench.py [--quick] [--rounds N] [--only GROUP,GROUP] [--keep NAME]

In each round the contestants run one after another with the same net, data, batches and threads. Prints a table with
the ratio (the median over the rounds of ours divided by the rival), its range, the goal, and whether it is met. All
measurements are written to benchmarks/history/, one file for each run. The data are read from TRAINER_DATA_DIR, or from
data/; a workload whose data are missing is skipped with a message.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fused_sweeps
import processes
import sweeps
from harness import BENCHMARK_DIR, DATA_DIR, Harness
from table import GROUPS, RECOMMENDED, WITH_PLOTS, Round, contestants, format_table
from workloads import WORKLOAD_BY_GROUP, WORKLOADS, build_overrides


def measure(group: str, harness: Harness, *, quick: bool) -> Round:
    """Return one round of a group: each contestant is measured once."""
    directory = harness.directory
    if group == "start":
        return processes.measure_startup(directory)
    if group == "sweep":
        return processes.measure_sweep(directory)
    if measure_group := {**sweeps.MEASURES, **fused_sweeps.MEASURES}.get(group):
        return measure_group(directory, quick=quick)
    if group.startswith("memory_"):
        return processes.measure_memory(WORKLOAD_BY_GROUP[group], directory)
    if group == "test":  # it takes a second or two, so a short measurement is the same
        overrides = build_overrides("mnist", directory, quick=False)
        functions = dict.fromkeys(contestants(group), "test") | {WITH_PLOTS: "test_with_plots"}
        return {name: harness.measure(name, overrides, function=function) for name, function in functions.items()}
    steps = WORKLOADS[group].template_steps[0 if quick else 1]
    results = {}
    for name in contestants(group):
        overrides = build_overrides(group, directory, quick=quick, recommended=name == RECOMMENDED)
        results[name] = harness.measure(name, overrides, steps=steps)
    return results


def measure_all(groups: list[str], n_rounds: int, directory: Path, *, quick: bool) -> tuple[dict, dict]:
    """Return all rounds of each group, and the reasons why groups were not measured."""
    rounds: dict[str, list[Round]] = {}
    failures: dict[str, str] = {}
    for group in groups:
        workload = WORKLOADS.get(WORKLOAD_BY_GROUP.get(group, group))
        if workload and not (DATA_DIR / workload.needs).exists():
            failures[group] = f"{workload.needs} is not in {DATA_DIR}; set TRAINER_DATA_DIR"
            continue
        with Harness(directory) as harness:
            try:
                if group in (*WORKLOADS, "test"):
                    measure(group, harness, quick=quick)  # warm-up: imports, data, first calls
                for number in range(n_rounds):
                    rounds.setdefault(group, []).append(measure(group, harness, quick=quick))
                    print_progress(f"{group} {number + 1}/{n_rounds}: {rounds[group][-1]}")
            except Exception as error:  # continue with the other groups
                failures[group] = f"{type(error).__name__}: {error}"
                print_progress(f"{group}: {failures[group]}\n{harness.last_output()}")
    return rounds, failures


def build_record(arguments: argparse.Namespace, rounds: dict, failures: dict) -> dict:
    """Return the record of a run that is written to the history."""
    root = BENCHMARK_DIR.parent
    commit = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "quick": arguments.quick,
        "cpu": processes.cpu_name(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "load_before": arguments.load,
        "load_after": os.getloadavg(),
        "versions": processes.versions(),
        "rounds": rounds,
        "failed": failures,
    }


def print_progress(text: str) -> None:
    """Print to stderr, as stdout contains only the table."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds: a few minutes")
    parser.add_argument("--rounds", type=int, help="rounds of each group; 5 by default, 2 with --quick")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"some of {', '.join(GROUPS)}")
    parser.add_argument("--keep", default="", help="name of a record that is committed: history/kept_NAME.json")
    arguments = parser.parse_args()
    groups = arguments.only.split(",")
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"unknown group {', '.join(sorted(unknown))}; expected some of {', '.join(GROUPS)}")
    arguments.load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="bench_") as directory:
        n_rounds = arguments.rounds or (2 if arguments.quick else 5)
        rounds, failures = measure_all(groups, n_rounds, Path(directory), quick=arguments.quick)
    record = build_record(arguments, rounds, failures)
    print("\n".join(format_table(rounds)))
    for group, reason in failures.items():
        print(f"not measured: {group}: {reason.splitlines()[0]}")
    print(
        f"{record['cpu']}, {record['cores']} cores, threads: {record['threads']}, load {arguments.load[0]:.1f} before"
    )
    name = f"kept_{arguments.keep}" if arguments.keep else record["date"].replace(":", "-")
    file = BENCHMARK_DIR / "history" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(record, indent=1) + "\n")
    print(f"record: {file.relative_to(BENCHMARK_DIR.parent)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
