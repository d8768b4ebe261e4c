"""Reports of real sweeps, recomputed with SciPy and NumPy from the results of the jobs."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from trainer.reports.comparison import build_report
from trainer.sweeps.store.trial_store import TrialLedger

PIECES = """
import os
import random
from pytorch_lightning import Callback

class Noisy(Callback):
    def __init__(self, x=0.0):
        self.x = x
    def on_validation_epoch_end(self, trainer, pl_module):
        name, seed = type(pl_module.net).__name__, os.environ["PL_GLOBAL_SEED"]
        noise = random.Random(seed).gauss(0, 1) + random.Random(f"{seed} {self.x} {name}").gauss(0, 0.3)
        pl_module.log("val/obj", self.x + {"MLP": 0.0, "Linear": 1.0}[name] + noise)
"""
TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "test=false"]
NOISY = [*TINY, "+callbacks.noisy._target_=pieces.Noisy"]
OBJECTIVE = ["optimized_metric=val/obj", "sweep.direction=min", "hydra.sweep.dir=s"]
EXPERIMENT = """
defaults:
  - override /data: xor
  - override /callbacks: none
  - override /logger: none
trainer: {max_epochs: 1}
test: false
callbacks: {noisy: {_target_: pieces.Noisy, x: X}}
"""
KINDS = {
    "a grid": [*NOISY, "+callbacks.noisy.x=0,0.2,2", "model=mlp,linear", "seed=1,2,3"],
    "models": [*NOISY, "model=mlp,linear", "sweep.seeds=4"],
    "experiments": ["experiment=first,second,third", "seed=1,2,3,4"],
    "a search": [*NOISY, "+callbacks.noisy.x=interval(0,3)", "model=mlp,linear", "sweep.n_trials=12"],
}
# for each axis: parameter of the report, line of the best experiment
PARAMETER = {"+callbacks.noisy.x": "callbacks.noisy.x", "model": "model.net", "experiment": "callbacks.noisy.x"}
BEST_LINE = {"+callbacks.noisy.x": "    x: {}\n", "model": "  - override /model: {}\n", "experiment": "  - {}\n"}


def holm(p_values):
    """Return adjusted p values by definition: the lowest level at which the procedure rejects each hypothesis."""
    adjusted = {}
    for level in sorted({min(1.0, k * p) for p in p_values for k in range(1, len(p_values) + 1)}):
        for rank, index in enumerate(np.argsort(p_values)):
            if p_values[index] > level / (len(p_values) - rank) * (1 + 1e-12):
                break
            adjusted.setdefault(int(index), level)
    return [adjusted.get(index, 1.0) for index in range(len(p_values))]


def eta_squared(levels, values):
    """Return the fraction of the sum of squares between levels; levels of a search in quarters, minus chance."""
    values = np.array(values)
    total = ((values - values.mean()) ** 2).sum()
    distinct = sorted({*levels}, key=str)
    grouped = len(distinct) > 8 and len(levels) < 2 * len(distinct)
    if grouped:
        ranks = stats.rankdata(levels, method="min") - 1
        levels = [int(rank * 4 // len(levels)) for rank in ranks]
        distinct = sorted({*levels})
    parts = [values[[value == level for value in levels]] for level in distinct]
    between = sum(len(part) * (part.mean() - values.mean()) ** 2 for part in parts)
    chance = (len(parts) - 1) * (total - between) / (len(values) - len(parts)) if grouped else 0.0
    return max(0.0, between - chance) / total


def read_jobs(directory, axes):
    """Return values by key, seed and result of each job."""
    jobs = []
    for job in TrialLedger(directory).jobs():
        overrides = dict(override.split("=", 1) for override in job.overrides)
        value = json.loads((directory / str(job.number) / "result.json").read_text())["metrics"]["val/obj"]
        jobs.append(({axis: overrides[axis] for axis in axes}, int(overrides.get("seed", 1)), value))
    return jobs


@pytest.fixture(params=KINDS)
def sweep(request, command, tmp_path):
    """Run a sweep of each kind whose metric is minimized; return its axes and jobs."""
    (tmp_path / "pieces.py").write_text(PIECES)
    (tmp_path / "experiments").mkdir()
    for name, x in {"first": 0.0, "second": 0.1, "third": 3.0}.items():
        (tmp_path / f"experiments/{name}.yaml").write_text(EXPERIMENT.replace("X}", f"{x}}}"))
    outcome = command("-m", *KINDS[request.param], *OBJECTIVE)
    assert outcome.code == 0, outcome.err
    axes = [axis for axis in PARAMETER if any(override.startswith(f"{axis}=") for override in KINDS[request.param])]
    return axes, read_jobs(tmp_path / "s", axes)


@pytest.mark.slow
def test_means_intervals_differences_the_best_and_importances_are_those_of_scipy(sweep, command, tmp_path):
    check_report(*sweep, "min", tmp_path)
    assert command("sweep", "report", "s", "--direction=max").code == 0
    check_report(*sweep, "max", tmp_path)


def check_report(axes, jobs, direction, tmp_path):
    """Check every number of `report.csv` and `best.yaml`, and the importances."""
    groups = {}
    for values, seed, value in jobs:
        groups.setdefault(" ".join(f"{axis}={values[axis]}" for axis in axes), {})[seed] = value
    rows = [*csv.DictReader((tmp_path / "s/report.csv").read_text().splitlines())]
    for row in rows:  # cells that start with a sign have an apostrophe, so that no spreadsheet computes them
        row |= {name: cell.removeprefix("'") for name, cell in row.items()}
    means = {name: np.mean([*values.values()]) for name, values in groups.items()}
    assert [row["config"] for row in rows] == sorted(means, key=means.get, reverse=direction == "max")

    baseline = next(iter(groups))
    others = [name for name in groups if name != baseline and len(groups[name]) > 1]
    pairs = {name: [(groups[name][seed], groups[baseline][seed]) for seed in groups[name]] for name in others}
    tests = {name: stats.ttest_rel(*zip(*pairs[name], strict=True)) for name in others}
    adjusted = dict(zip(others, holm([tests[name].pvalue for name in others]), strict=True))
    for row in rows:
        values = [*groups[row["config"]].values()]
        assert int(row["n"]) == len(values)
        assert float(row["val/obj mean"]) == pytest.approx(np.mean(values), rel=1e-12)
        assert float(row["best"]) == (min if direction == "min" else max)(values)
        if len(values) > 1:
            low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
            assert float(row["std"]) == pytest.approx(np.std(values, ddof=1), rel=1e-12)
            assert row["95 % interval"] == f"{low:.4g} to {high:.4g}"
        if row["config"] in adjusted:
            check_difference(row, pairs[row["config"]], tests[row["config"]], adjusted[row["config"]], direction)
    assert {row["against baseline"] for row in rows if row["config"] == baseline} == {"baseline"}

    best = (tmp_path / "s/best.yaml").read_text()
    for override in rows[0]["config"].split():
        axis, _, value = override.partition("=")
        assert BEST_LINE[axis].format(value) in best

    importances = build_report(tmp_path / "s").importances
    assert {*importances} == {PARAMETER[axis] for axis in axes}
    for axis in axes:
        levels = [float(values[axis]) if "noisy" in axis else values[axis] for values, _, _ in jobs]
        fraction = eta_squared(levels, [value for _, _, value in jobs])
        assert importances[PARAMETER[axis]] == pytest.approx(fraction, rel=1e-9)


def check_difference(row, pairs, test, p_value, direction):
    """Check one comparison with the baseline: difference, interval, corrected p value and verdict."""
    differences = np.subtract(*zip(*pairs, strict=True))
    half_width = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    assert row["against baseline"].startswith(f"{differences.mean():+.4g} ± {half_width:.2g}: ")
    assert float(row["p (Holm)"]) == pytest.approx(p_value, rel=1e-9)
    is_better = (differences.mean() > 0) == (direction == "max")
    verdict = ("better" if is_better else "worse") if p_value < 0.05 else "not significant"
    assert row["against baseline"].partition(": ")[2].startswith(verdict)
    assert p_value >= test.pvalue
