"""Reports of real sweeps, every number computed again by SciPy and NumPy from the results of the jobs."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from trainer.report.comparison import report_of
from trainer.sweep.store.trial_store import Trials

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
GOAL = ["optimized_metric=val/obj", "sweep.direction=min", "hydra.sweep.dir=s"]
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
    "a search": [*NOISY, "+callbacks.noisy.x=interval(0,3)", "model=mlp,linear", "sweep.trials=12"],
}
# of each axis: the parameter of the report, the words of the best recipe
PARAMETER = {"+callbacks.noisy.x": "callbacks.noisy.x", "model": "model.net", "experiment": "callbacks.noisy.x"}
RECIPE = {"+callbacks.noisy.x": "    x: {}\n", "model": "  - override /model: {}\n", "experiment": "  - {}\n"}


def holm(p_values):
    """Adjusted p values, by the definition: the least level at which the procedure rejects each hypothesis."""
    adjusted = {}
    for level in sorted({min(1.0, k * p) for p in p_values for k in range(1, len(p_values) + 1)}):
        for rank, place in enumerate(np.argsort(p_values)):
            if p_values[place] > level / (len(p_values) - rank) * (1 + 1e-12):
                break
            adjusted.setdefault(int(place), level)
    return [adjusted.get(place, 1.0) for place in range(len(p_values))]


def eta_squared(levels, values):
    """Sum of squares between levels, as a share of the whole; levels of a search in quarters, without chance."""
    values = np.array(values)
    total = ((values - values.mean()) ** 2).sum()
    distinct = sorted({*levels}, key=str)
    grouped = len(distinct) > 8 and len(levels) < 2 * len(distinct)
    if grouped:
        ranks = stats.rankdata(levels, method="min") - 1
        levels = [int(rank * 4 // len(levels)) for rank in ranks]
        distinct = sorted({*levels})
    parts = [values[[each == level for each in levels]] for level in distinct]
    between = sum(len(part) * (part.mean() - values.mean()) ** 2 for part in parts)
    chance = (len(parts) - 1) * (total - between) / (len(values) - len(parts)) if grouped else 0.0
    return max(0.0, between - chance) / total


def jobs_of(folder, axes):
    """Of each job its values by key, its seed and its result."""
    found = []
    for job in Trials(folder).jobs():
        words = dict(word.split("=", 1) for word in job.words)
        value = json.loads((folder / str(job.number) / "result.json").read_text())["metrics"]["val/obj"]
        found.append(({axis: words[axis] for axis in axes}, int(words.get("seed", 1)), value))
    return found


@pytest.fixture(params=KINDS)
def sweep(request, command, tmp_path):
    """A sweep of each kind whose metric is to be small: its axes, and its jobs."""
    (tmp_path / "pieces.py").write_text(PIECES)
    (tmp_path / "experiments").mkdir()
    for name, x in {"first": 0.0, "second": 0.1, "third": 3.0}.items():
        (tmp_path / f"experiments/{name}.yaml").write_text(EXPERIMENT.replace("X}", f"{x}}}"))
    outcome = command("-m", *KINDS[request.param], *GOAL)
    assert outcome.code == 0, outcome.err
    axes = [axis for axis in PARAMETER if any(word.startswith(f"{axis}=") for word in KINDS[request.param])]
    return axes, jobs_of(tmp_path / "s", axes)


@pytest.mark.slow
def test_means_intervals_differences_the_best_and_importances_are_those_of_scipy(sweep, command, tmp_path):
    check_report(*sweep, "min", tmp_path)
    assert command("sweep", "report", "s", "direction=max").code == 0
    check_report(*sweep, "max", tmp_path)


def check_report(axes, jobs, direction, tmp_path):
    """Every number of `report.csv` and `best.yaml`, and the importances."""
    groups = {}
    for values, seed, value in jobs:
        groups.setdefault(" ".join(f"{axis}={values[axis]}" for axis in axes), {})[seed] = value
    rows = [*csv.DictReader((tmp_path / "s/report.csv").read_text().splitlines())]
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
            assert float(row["deviation"]) == pytest.approx(np.std(values, ddof=1), rel=1e-12)
            assert row["95 % interval"] == f"{low:.4g} to {high:.4g}"
        if row["config"] in adjusted:
            check_difference(row, pairs[row["config"]], tests[row["config"]], adjusted[row["config"]], direction)
    assert {row["against baseline"] for row in rows if row["config"] == baseline} == {"baseline"}

    best = (tmp_path / "s/best.yaml").read_text()
    for word in rows[0]["config"].split():
        axis, _, value = word.partition("=")
        assert RECIPE[axis].format(value) in best

    found = report_of(tmp_path / "s").importances
    assert {*found} == {PARAMETER[axis] for axis in axes}
    for axis in axes:
        levels = [float(values[axis]) if "noisy" in axis else values[axis] for values, _, _ in jobs]
        share = eta_squared(levels, [value for _, _, value in jobs])
        assert found[PARAMETER[axis]] == pytest.approx(share, rel=1e-9)


def check_difference(row, pairs, test, p_value, direction):
    """One comparison with the baseline: difference, interval, corrected p value and verdict."""
    apart = np.subtract(*zip(*pairs, strict=True))
    half = stats.t.ppf(0.975, len(apart) - 1) * stats.sem(apart)
    assert row["against baseline"].startswith(f"{apart.mean():+.4g} ± {half:.2g}: ")
    assert float(row["p (Holm)"]) == pytest.approx(p_value, rel=1e-9)
    better = (apart.mean() > 0) == (direction == "max")
    verdict = ("better" if better else "worse") if p_value < 0.05 else "not separable"
    assert row["against baseline"].partition(": ")[2].startswith(verdict)
    assert p_value >= test.pvalue
