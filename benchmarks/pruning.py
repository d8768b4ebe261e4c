"""What pruning saves, and what it costs: the same searches with and without it.

    python benchmarks/pruning.py [--recipe digits_cnn] [--seeds 3] [--trials 30] [--pruners none ...] [--folder DIR]

A search of the recipe's `hparams_search` with each pruner and several seeds of the sampler, one trial after another.
Prints for each pruner the best that the searches found (mean and standard deviation over their seeds), the same trial's
test accuracy, and the epochs and seconds that they took, as a share of those without pruning.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean, stdev

from trainer.sweep.search.pareto_front import front
from trainer.sweep.search.search import read
from trainer.sweep.store.job_store import Job
from trainer.sweep.store.trial_store import Trials

PRUNERS = ("none", "median", "asha", "hyperband")


def search(recipe: str, pruner: str, seed: int, trials: int, folder: Path) -> Path:
    """Run a search, or go on with it; its directory."""
    place = folder / f"{recipe}_{pruner}_{seed}"
    words = [f"experiment={recipe}", f"hparams_search={recipe}", f"sweep.pruner={pruner}", f"sweep.sample_seed={seed}"]
    words += [f"sweep.trials={trials}", "callbacks=[lean_steps,finite_loss,checkpoint]", "logger=none"]
    command = [sys.executable, "-m", "trainer", "-m", *words, f"hydra.sweep.dir={place}"]
    with (folder / f"{place.name}.txt").open("ab") as output:
        subprocess.run(command, check=True, stdout=output, stderr=output)
    return place


def found(place: Path) -> dict[str, float]:
    """What a search found, and what it took."""
    ledger = Trials(place)
    jobs = ledger.jobs()
    settings = ledger.settings()
    assert settings
    _, goal = read(settings)
    best = front(jobs, goal)[0]
    return {
        "best": _number(best, goal.metrics[0]),
        "test": _number(best, "test/accuracy"),
        "epochs": sum((job.result or {}).get("epochs", 0) for job in jobs),
        "seconds": sum(job.seconds for job in jobs),
        "pruned": sum(job.state == "pruned" for job in jobs),
    }


def _number(job: Job, metric: str) -> float:
    value = job.metric(metric)
    return math.nan if value is None else value


def main() -> None:
    """Search, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="digits_cnn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--pruners", nargs="+", default=PRUNERS, choices=PRUNERS)
    parser.add_argument("--folder", type=Path, default=None)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows: dict[str, list[dict[str, float]]] = {pruner: [] for pruner in asked.pruners}
    for seed in range(1, asked.seeds + 1):
        for pruner in asked.pruners:
            rows[pruner].append(found(search(asked.recipe, pruner, seed, asked.trials, folder)))
            print(f"seed {seed} {pruner}: {rows[pruner][-1]}", flush=True)
    print("| pruner | best | its test accuracy | pruned | epochs | of those without | seconds, of those without |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for pruner, each in rows.items():
        cells = []
        for name in ("best", "test"):
            values = [row[name] for row in each]
            cells.append(f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else ""))
        cells.append(f"{fmean(row['pruned'] for row in each):.1f} of {asked.trials}")
        cells.append(f"{fmean(row['epochs'] for row in each):.0f}")
        for name in ("epochs", "seconds"):
            cells.append(f"{sum(row[name] for row in each) / sum(row[name] for row in rows['none']):.0%}")
        print(f"| {pruner} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
