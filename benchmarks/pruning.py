"""Time saved by pruning and its effect on the result: the same searches with and without it.

    python benchmarks/pruning.py [--experiment digits_cnn] [--seeds 3] [--trials 30] [--pruners none ...]
        [--directory DIR]

Runs a search in the space of the experiment's `hparams_search` for each pruner and several seeds of the sampler, one
trial after another. Prints for each pruner the best value (mean and standard deviation over the seeds), the test
accuracy of the best trial, and the epochs and seconds as a share of those without pruning.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean, stdev

from trainer.sweeps.search.pareto_front import compute_pareto_front
from trainer.sweeps.search.search import load_search
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.trial_store import TrialLedger

PRUNERS = ("none", "median", "asha", "hyperband")


def search(experiment: str, pruner: str, seed: int, trials: int, parent: Path) -> Path:
    """Run or resume a search; return its directory."""
    directory = parent / f"{experiment}_{pruner}_{seed}"
    overrides = [
        *(f"experiment={experiment}", f"hparams_search={experiment}", f"hydra.sweep.dir={directory}"),
        *(f"sweep.pruner={pruner}", f"sweep.sample_seed={seed}", f"sweep.n_trials={trials}"),
        *("callbacks=[fast_loop,finite_loss,checkpoint]", "logger=none"),
    ]
    with (parent / f"{directory.name}.txt").open("ab") as output:
        command = [sys.executable, "-m", "trainer", "-m", *overrides]
        subprocess.run(command, check=True, stdout=output, stderr=output)
    return directory


def read_results(directory: Path) -> dict[str, float]:
    """Return the best trial of a search, and its epochs and seconds."""
    ledger = TrialLedger(directory)
    jobs = ledger.jobs()
    settings = ledger.settings()
    assert settings
    _, objective = load_search(settings)
    best = compute_pareto_front(jobs, objective)[0]
    return {
        "best": _metric(best, objective.metrics[0]),
        "test": _metric(best, "test/accuracy"),
        "epochs": sum((job.result or {}).get("epochs", 0) for job in jobs),
        "seconds": sum(job.seconds for job in jobs),
        "pruned": sum(job.state == "pruned" for job in jobs),
    }


def _metric(job: Job, name: str) -> float:
    value = job.metric(name)
    return math.nan if value is None else value


def main() -> None:
    """Search and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--experiment", default="digits_cnn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--pruners", nargs="+", default=PRUNERS, choices=PRUNERS)
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    directory = options.directory or Path(tempfile.mkdtemp())
    directory.mkdir(exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results: dict[str, list[dict[str, float]]] = {pruner: [] for pruner in options.pruners}
    for seed in range(1, options.seeds + 1):
        for pruner in options.pruners:
            results[pruner].append(read_results(search(options.experiment, pruner, seed, options.trials, directory)))
            print(f"seed {seed} {pruner}: {results[pruner][-1]}", flush=True)
    print("| pruner | best | its test accuracy | pruned | epochs | of those without | seconds, of those without |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for pruner, rows in results.items():
        cells = []
        for name in ("best", "test"):
            values = [row[name] for row in rows]
            cells.append(f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else ""))
        cells.append(f"{fmean(row['pruned'] for row in rows):.1f} of {options.trials}")
        cells.append(f"{fmean(row['epochs'] for row in rows):.0f}")
        for name in ("epochs", "seconds"):
            cells.append(f"{sum(row[name] for row in rows) / sum(row[name] for row in results['none']):.0%}")
        print(f"| {pruner} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
