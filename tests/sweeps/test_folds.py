"""A k-fold cross-validation as an axis of a sweep."""

import json

import numpy as np

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
    assert outcome.out.count("1,797 in 2 folds") == 2
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
