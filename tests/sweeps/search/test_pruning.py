"""Pruned trials."""

import json
from dataclasses import replace

import pytest

from trainer.sweeps.search.dimensions import NumericDimension
from trainer.sweeps.search.optuna_adapter import SearchObjective, should_prune
from trainer.sweeps.search.search_space import SearchSpace
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.trial_store import Trial, TrialLedger

SPACE = SearchSpace((), (NumericDimension("lr", 0, 1, None, False, False),))
# returns rates in this order, the good ones first
ORDERED = (
    "from optuna.samplers import BaseSampler\n"
    "class Ordered(BaseSampler):\n"
    "    def __init__(self, seed=None): pass\n"
    "    def infer_relative_search_space(self, study, trial): return {}\n"
    "    def sample_relative(self, study, trial, search_space): return {}\n"
    "    def sample_independent(self, study, trial, name, distribution):\n"
    "        return [0.02, 0.021, 0.022, 0.023, 0.024, 0.0001, 0.025][trial.number]\n"
)
SEARCH = [
    *("-m", "data=xor", "model.net.hidden=[8]", "callbacks=[checkpoint]", "logger=csv", "trainer.max_epochs=5"),
    *("optimizer.lr=interval(0.0001,0.1)", "optimized_metric=val/loss_best", "sweep.n_trials=7"),
    "sweep.pruner={_target_:optuna.pruners.MedianPruner,n_startup_trials:2}",
    *("sweep.sampler={_target_:pieces.Ordered}", "hydra.sweep.dir=s"),
]


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param([], id="in one process", marks=pytest.mark.slow),
        pytest.param(["sweep.workers=2"], id="side by side", marks=pytest.mark.slow),
    ],
)
def test_a_bad_trial_is_pruned(workers, command, tmp_path):
    (tmp_path / "pieces.py").write_text(ORDERED)
    outcome = command(*SEARCH, *workers)
    assert outcome.code == 0, outcome.err
    trials = TrialLedger(tmp_path / "s").trials()
    assert trials[5].job.state == "pruned"
    assert trials[0].job.state == "done"
    assert [*trials[0].reports] == [1, 2, 3, 4, 5]
    assert [*trials[5].reports] == [1]
    result = json.loads((tmp_path / "s/5/result.json").read_text())
    assert (result["state"], result["epochs"], result["steps"]) == ("pruned", 1, 100)
    assert result["metrics"]["val/loss"] == trials[5].reports[1]
    assert not [name for name in result["metrics"] if name.startswith("test/")]
    assert (tmp_path / "s/5/checkpoints/last.ckpt").is_file()
    output = command("sweep", "show", "s").out
    assert "#5     pruned" in output
    assert "pruned" in command("sweep", "report", "s").out
    if not workers:
        assert "pruned after epoch 1: other trials were better at this epoch" in outcome.out
        resumed = command("resume", "s/5")  # a user may complete it
        assert resumed.code == 0, resumed.err
        result = json.loads((tmp_path / "s/5/result.json").read_text())
        assert (result["state"], result["epochs"]) == ("finished", 5)


def trial(number, state, reports, loss=None):
    result = {"metrics": {"loss": loss}} if loss is not None else None
    return Trial(Job(number, str(number), [], state, result=result), {"lr": 0.5}, {}, reports)


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband", "none"])
def test_pruners_end_the_worst_and_continue_the_best(pruner, direction):
    sign = 1 if direction == "min" else -1
    objective = SearchObjective(("loss",), (direction,), "tpe", pruner, 1)
    finished = [trial(number, "done", {1: sign * number, 9: sign * number}, sign * number) for number in range(8)]
    trials = []
    for other in finished:
        notes = {}
        for epoch in (1, 9):
            so_far = replace(
                other,
                notes=notes,
                reports={reported: value for reported, value in other.reports.items() if reported <= epoch},
            )
            _, notes = should_prune(
                [*trials, replace(so_far, job=replace(other.job, state="running"))],
                other.job.number,
                SPACE,
                objective,
                9,
            )
        trials.append(replace(other, notes=notes))
    good, bad = trial(8, "running", {1: sign * -1.0}), trial(8, "running", {1: sign * 100.0})
    assert should_prune([*trials, good], 8, SPACE, objective, 9)[0] is False
    ends = [should_prune([*trials, replace(bad, reports={9: sign * 100.0})], 8, SPACE, objective, 9)[0]]
    ends.append(should_prune([*trials, bad], 8, SPACE, objective, 9)[0])
    assert any(ends) == (pruner != "none")


def test_a_run_outside_a_search_is_not_pruned(command, tmp_path):
    outcome = command(
        "data=xor", "trainer.max_epochs=2", "+callbacks.pruning._target_=trainer.sweeps.search.pruning.Pruning"
    )
    assert outcome.code == 0, outcome.err
    assert json.loads((outcome.runs[0] / "result.json").read_text())["epochs"] == 2
