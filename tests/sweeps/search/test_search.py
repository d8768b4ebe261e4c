"""Searches from the command line."""

import json
import shutil
import sqlite3

import pytest

from trainer.core.installation import format_install_command
from trainer.sweeps.store.trial_store import TrialLedger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
LR = "optimizer.lr=tag(log,interval(0.0001,1))"
SPACE = [LR, "model.net.hidden=[2],[4]", "optimized_metric=val/loss"]
SEARCH = ["-m", *TINY, *SPACE, "hydra.sweep.dir=s"]
FAILS = (
    "from pytorch_lightning import Callback\n"
    "class Fails(Callback):\n"
    "    def on_fit_start(self, trainer, pl_module):\n"
    "        lr = trainer.optimizers[0].param_groups[0]['lr']\n"
    "        if lr > 0.01:\n"
    "            raise RuntimeError('too fast')\n"
    "    def on_validation_epoch_end(self, trainer, pl_module):\n"
    "        if trainer.optimizers[0].param_groups[0]['lr'] < 0.001:\n"
    "            pl_module.log('val/loss', float('nan'))\n"
)


@pytest.fixture
def trials(tmp_path):
    return lambda: TrialLedger(tmp_path / "s").trials()


def tried(trials):
    return [(trial.values, trial.job.result and trial.job.result["metrics"]) for trial in trials]


@pytest.mark.slow
def test_a_resumed_search_has_the_trials_of_an_uninterrupted_one(command, trials):
    sampler = ["sweep.sampler={_target_:optuna.samplers.TPESampler,n_startup_trials:3,seed:5}"]
    complete = command(*SEARCH[:-1], *sampler, "sweep.n_trials=7", "hydra.sweep.dir=whole")
    assert complete.code == 0, complete.err
    reference = tried(TrialLedger(complete.directory / "whole").trials())
    assert len({str(values) for values, _ in reference}) == 7
    first = command(*SEARCH, *sampler, "sweep.n_trials=4")
    assert first.code == 0, first.err
    assert tried(trials()) == reference[:4]
    assert "best  #" in first.out
    repeated = command(*SEARCH, *sampler, "sweep.n_trials=4")
    assert repeated.code == 0
    assert [trial.job.attempts for trial in trials()] == [1] * 4
    extended = command("sweep", "resume", "s", "sweep.n_trials=7")
    assert extended.code == 0, extended.err
    assert tried(trials()) == reference


@pytest.mark.slow
def test_a_plan_lists_the_space_and_the_first_trials_and_runs_none(command, trials):
    plan = command(*SEARCH, "sweep.n_trials=3", "--plan")
    assert plan.code == 0, plan.err
    assert not (plan.directory / "s").exists()
    assert plan.out.splitlines()[:2] == [
        "optimizer.lr: 0.0001 to 1, logarithmic",
        "model.net.hidden: one of [2], [4]",
    ]
    assert plan.out.splitlines()[-1] == "3 trials by tpe for val/loss (min); 0 exist, 0 depend on results"
    assert command(*SEARCH, "sweep.n_trials=3").code == 0
    planned = [line.split()[2] for line in plan.out.splitlines() if line.startswith("#")]
    assert planned == [trial.job.identity for trial in trials()]


@pytest.mark.slow
def test_failures_and_nan_are_failed_trials_without_a_retry(command, trials, tmp_path):
    (tmp_path / "pieces.py").write_text(FAILS)
    args = [*SEARCH, "+callbacks.fails._target_=pieces.Fails", "sweep.n_trials=6"]
    first = command(*args)
    assert first.code == 0, first.err
    states = [trial.job.state for trial in trials()]
    assert {*states} == {"done", "failed"}
    for trial in trials():
        rate = trial.values["optimizer.lr"]
        assert trial.job.state == ("done" if 0.001 <= rate <= 0.01 else "failed")
        if rate < 0.001:
            assert trial.job.error == "val/loss: missing in the result, or not a number"
    assert f"{states.count('failed')} of 6 jobs failed" in first.out
    assert command(*args).code == 0
    assert [trial.job.attempts for trial in trials()] == [1] * 6
    assert command(*args, "sweep.retries=1").code == 0
    assert {trial.job.attempts for trial in trials() if trial.job.state == "failed"} == {2}


def test_a_search_fails_if_all_trials_fail(command, tmp_path):
    (tmp_path / "pieces.py").write_text(FAILS)
    args = [*SEARCH[:-1], "hydra.sweep.dir=s", "+callbacks.fails._target_=pieces.Fails", "sweep.n_trials=2"]
    outcome = command(*args, "optimizer.lr=interval(0.1,1)")
    assert outcome.code == 1
    assert "2 of 2 jobs failed" in outcome.err


@pytest.mark.slow
def test_a_small_space_is_searched_completely(command, trials):
    outcome = command(*SEARCH, "optimizer.lr=0.1,0.2", "sweep.n_trials=20")
    assert outcome.code == 0, outcome.err
    assert len(trials()) == 4
    assert "every point of the space has been tried: 4 trials" in outcome.out


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["cmaes", "gp", "random"])
def test_other_samplers_choose_values_in_the_space(sampler, command, trials):
    outcome = command(
        *SEARCH,
        "model.net.hidden=[2]",
        "optimizer.betas=[0.9,0.9],[0.9,0.99]",
        f"sweep.sampler={sampler}",
        "sweep.n_trials=4",
    )
    assert outcome.code == 0, outcome.err
    assert len({trial.values["optimizer.lr"] for trial in trials()}) == 4
    assert all(0.0001 <= trial.values["optimizer.lr"] <= 1 for trial in trials())


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", pytest.param("nsga2", marks=pytest.mark.slow)])
def test_several_metrics_have_a_pareto_front(sampler, command, trials):
    several = "optimized_metric=[val/loss,val/accuracy]"
    outcome = command(*SEARCH, several, f"sweep.sampler={sampler}", "sweep.n_trials=6")
    assert outcome.code == 0, outcome.err
    lines = [line for line in command("sweep", "show", "s").out.splitlines() if line.startswith("best")]
    numbers = {trial.job.number: trial.job.result["metrics"] for trial in trials()}
    expected = [
        number
        for number, metrics in numbers.items()
        if not any(
            other["val/loss"] <= metrics["val/loss"]
            and other["val/accuracy"] >= metrics["val/accuracy"]
            and other != metrics
            for other in numbers.values()
        )
    ]
    assert sorted(int(line.split()[1].lstrip("#")) for line in lines) == sorted(expected)
    assert "val/loss" in lines[0]
    assert "val/accuracy" in lines[0]


@pytest.mark.slow
def test_another_space_metric_or_setting_is_an_error(command, trials):
    assert command(*SEARCH, "sweep.n_trials=2").code == 0
    for args, message in {
        (
            "optimizer.lr=tag(log,interval(0.001,1))",
        ): "optimizer.lr: 0.0001 to 1, logarithmic in the ledger, 0.001 to 1, ",
        ("optimized_metric=val/accuracy",): "optimized_metric: val/loss in the ledger, val/accuracy in this command",
        ("trainer.max_epochs=2",): "trainer.max_epochs: 1 in the ledger, 2 in this command",
        ("sweep.direction=max",): "sweep.direction: min in the ledger, max in this command",
    }.items():
        other = command(*SEARCH, *args, "sweep.n_trials=4")
        assert other.code == 1
        assert "'s' contains another search" in other.err
        assert message in other.err
    grid = command("-m", *TINY, "seed=1,2", "hydra.sweep.dir=s")
    assert "'s' contains a search" in grid.err
    assert len(trials()) == 2
    assert command("-m", *TINY, "seed=1,2", "hydra.sweep.dir=grid").code == 0
    assert (
        "contains a sweep that is not a search" in command(*SEARCH[:-1], "sweep.n_trials=2", "hydra.sweep.dir=grid").err
    )


def test_a_missing_or_foreign_ledger_is_an_error(command, tmp_path):
    (tmp_path / "s").mkdir()
    assert "'s' is not a sweep directory: it contains no sweep.sqlite" in command("sweep", "resume", "s").err
    database = sqlite3.connect(tmp_path / "s/sweep.sqlite")
    database.execute("CREATE TABLE trials (number INTEGER)")
    database.commit()
    database.close()
    foreign = command(*SEARCH, "sweep.n_trials=1")
    assert foreign.code == 1
    assert "is not a ledger of this trainer; name another directory" in foreign.err
    assert "Traceback" not in foreign.err


@pytest.mark.slow
def test_a_ledger_that_is_removed_during_the_search_is_an_error(command, tmp_path):
    (tmp_path / "pieces.py").write_text(
        "from pathlib import Path\n"
        "from pytorch_lightning import Callback\n"
        "class RemoveLedger(Callback):\n"
        "    def on_fit_end(self, trainer, pl_module):\n"
        "        Path('s/sweep.sqlite').unlink()\n"
    )
    outcome = command(*SEARCH, "sweep.n_trials=3", "+callbacks.remove._target_=pieces.RemoveLedger")
    assert outcome.code == 1
    assert outcome.err.strip().splitlines()[-1].startswith("error: the ledger 's/sweep.sqlite' was removed")
    assert "Traceback" not in outcome.err


def test_a_search_is_loaded_as_an_optuna_study(command, trials):
    from trainer.sweeps.search.pareto_front import load_study

    assert command(*SEARCH, "sweep.n_trials=2").code == 0
    study = load_study("s")
    assert [trial.params for trial in study.trials] == [trial.values for trial in trials()]
    assert [trial.value for trial in study.trials] == [trial.job.metric("val/loss") for trial in trials()]


def test_a_search_without_optuna_is_an_error_with_the_install_command(command, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert f"a search requires Optuna: {format_install_command('search')}" in command(*SEARCH, "sweep.n_trials=1").err


def test_search_settings_of_a_single_run_are_a_warning(command):
    outcome = command(*TINY, "sweep.n_trials=3")
    assert outcome.code == 0
    assert "sweep.n_trials: no effect in a single run; start a sweep with: trainer -m" in outcome.err


@pytest.mark.slow
def test_the_best_experiment_of_a_search_runs(command, tmp_path):
    args = ["experiment=xor_mlp", "hparams_search=xor_mlp", *TINY[1:], "sweep.n_trials=3"]
    searched = command("-m", *args, "optimized_metric=val/loss", "hydra.sweep.dir=s")
    assert searched.code == 0, searched.err
    (tmp_path / "experiments").mkdir()
    shutil.copy(tmp_path / "s/best.yaml", tmp_path / "experiments/winner.yaml")
    repeated = command("experiment=winner", "callbacks=none", "logger=none", "hydra.run.dir=again")
    assert repeated.code == 0, repeated.err
    metrics = json.loads((tmp_path / "again/result.json").read_text())["metrics"]
    best = min(json.loads(file.read_text())["metrics"]["val/loss"] for file in (tmp_path / "s").glob("*/result.json"))
    assert metrics["val/loss"] == best
