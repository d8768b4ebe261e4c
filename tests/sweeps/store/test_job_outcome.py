"""Outcome of jobs whose process has ended."""

import json

import pytest

from trainer.sweeps.store.job_outcome import record_outcome
from trainer.sweeps.store.job_store import Ledger


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1"], {"aaaa": ["seed=1"]})
    ledger.claim(ledger.job(0))
    ledger.assign_process(0, 1)
    ledger.log_path(0).parent.mkdir()
    return ledger


OUTPUTS = {
    "run    s/0\n": "exit status 3, see '{}'",
    "": "exit status 3, see '{}'",
    "run    s/0\nerror: data.path: not found\n  a hint\n": "exit status 3: data.path: not found",
    "Traceback (most recent call last):\n  File\nKeyError: 'x'\n": "exit status 3: KeyError: 'x'",
    "\x1b[31mmy.package.CustomError: red\x1b[0m\n": "exit status 3: my.package.CustomError: red",
    "a MeanSquaredError of 3\n": "exit status 3, see '{}'",
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_output_of_a_job_is_its_error_only_if_it_ends_with_one(output, ledger):
    file = ledger.log_path(0)
    file.write_text(output)
    record_outcome(ledger, 0, 1, 3, "", stopped=False)
    assert (ledger.job(0).state, ledger.job(0).error) == ("failed", OUTPUTS[output].format(file))


@pytest.mark.parametrize("code", [0, 1, -11, 255])
def test_a_finished_result_is_believed(code, ledger):
    (ledger.sweep / "0").mkdir()
    (ledger.sweep / "0/result.json").write_text(json.dumps({"state": "finished", "metrics": {}}))
    record_outcome(ledger, 0, 1, code, "", stopped=True)
    assert (ledger.job(0).state, ledger.job(0).error) == ("done", None)
