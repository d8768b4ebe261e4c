"""A k-fold cross-validation as an axis of a sweep."""

import json
import re

import numpy as np
import pytest

from trainer.sweeps.store.job_store import Ledger

TINY = ["-m", "data=digits", "model=linear", "trainer.max_epochs=1", "callbacks=none", "logger=none"]
SWEEP = [*TINY, "data.batch_size=256", "sweep.folds=2", "hydra.sweep.dir=cv"]


def test_a_sweep_tests_each_example_once_and_is_resumed(command):
    outcome = command(*SWEEP, "optimizer.lr=0.01,0.1")
    assert outcome.code == 0, outcome.err
    runs = [outcome.directory / f"cv/{number}" for number in range(4)]
    results = [json.loads((run / "result.json").read_text()) for run in runs]
    assert [result["examples"]["test"] for result in results] == [899, 898] * 2
    assert {sum(result["examples"].values()) for result in results} == {1797}
    for config in (runs[:2], runs[2:]):
        stored = [np.load(run / "test_predictions.npz") for run in config]
        right = sum(int((part["preds"] == part["target"]).sum()) for part in stored)
        assert f"{right / 1797:.4g}" in outcome.out
    pairs = [(results[fold], results[2 + fold]) for fold in range(2)]
    chosen = [min(pair, key=lambda result: result["metrics"]["val/loss"]) for pair in pairs]
    right = sum(round(result["metrics"]["test/accuracy"] * result["examples"]["test"]) for result in chosen)
    assert re.search(rf"nested: chosen per fold +test/accuracy +{right / 1797:.4g} ", outcome.out)
    assert outcome.out.count("1,797 in 2 folds") == 3
    assert "means over 2 folds" in outcome.out

    (runs[1] / "result.json").unlink()
    ledger = Ledger(outcome.directory / "cv")
    finished = {job.number: job.ended for job in ledger.jobs()}
    extended = command("sweep", "resume", "cv", "optimizer.lr=0.01,0.1,0.3")
    assert extended.code == 0, extended.err
    jobs = ledger.jobs()
    assert [job.state for job in jobs] == ["done"] * 6
    assert all(job.ended == finished[job.number] for job in jobs[:4] if job.number != 1)
    assert [job.overrides[-2:] for job in jobs[4:]] == [["data.folds=2", f"data.fold={fold}"] for fold in range(2)]

    other = command(*SWEEP[:-2], "optimizer.lr=0.5", "sweep.folds=4", "hydra.sweep.dir=cv")
    assert other.code == 1
    assert "data.folds: 2 in the sweep, 4 in this command" in other.err


def test_a_fraction_without_effect_is_an_error(command):
    outcome = command(*SWEEP, "data.test_size=100", "--plan")
    assert outcome.code == 1
    assert "data.test_size: has no effect: the test split is a fold of data.folds; leave it out" in outcome.err


@pytest.mark.slow
def test_time_ordered_folds_are_trained_on_earlier_days_and_pooled(command):
    sweep = ["-m", "data=stock", "data.synthetic=true", "model=linear", "trainer.max_epochs=1", "logger=none"]
    outcome = command(*sweep, "data.window=5,10", "sweep.folds=2", "hydra.sweep.dir=cv")
    assert outcome.code == 0, outcome.err
    runs = [outcome.directory / f"cv/{number}" for number in range(2)]
    results = [json.loads((run / "result.json").read_text()) for run in runs]
    # 1,000 days: blocks of 333, validation on a tenth of the days before; the first 6 days have no window of 5 returns
    assert [result["examples"] for result in results] == [
        {"train": 301 - 6, "val": 33, "test": 333},
        {"train": 600 - 6, "val": 67, "test": 333},
    ]
    stored = [np.load(run / "test_predictions.npz") for run in runs]
    errors = np.concatenate([part["preds"] - part["target"] for part in stored])
    rmse = float((errors**2).mean() ** 0.5)
    assert re.search(rf"data\.window=5 +test/rmse +{rmse:.4g} .* 666 of 994 in 2 folds", outcome.out)
    assert re.search(r"nested: chosen per fold +test/rmse .* 666 of 9(94|89) in 2 folds", outcome.out)
    assert "means over 2 folds in the order of time, which do not test the first examples" in outcome.out
    naive = [result["metrics"]["test/naive_rmse_price"] for result in results]
    ratios = [result["metrics"]["test/relative_rmse"] for result in results]
    assert [result["metrics"]["test/rmse_price"] for result in results] == pytest.approx(
        [error * ratio for error, ratio in zip(naive, ratios, strict=True)], rel=1e-4
    )
    unused = command(*sweep, "data.test_fraction=0.3", "sweep.folds=2", "hydra.sweep.dir=other", "--plan")
    assert "data.test_fraction: has no effect: the test split is a fold of data.folds; leave it out" in unused.err
