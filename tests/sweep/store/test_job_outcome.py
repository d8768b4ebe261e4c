"""Error messages of failed jobs."""

import pytest

from trainer.sweep.store.job_outcome import record_outcome
from trainer.sweep.store.job_store import Ledger


@pytest.mark.parametrize(
    ("log", "code", "error"),
    [
        (
            "step 1\nerror: run directory 's/0' is not empty\n  choose another one\n",
            1,
            "run directory 's/0' is not empty",
        ),
        ("error: an earlier attempt\nerror: invalid value\n", 1, "invalid value"),
        ("Traceback\nRuntimeError: something\n", 1, "RuntimeError: something"),
        ("", 3, "exit status 3"),
        ("", -9, "killed by SIGKILL"),
    ],
)
def test_the_error_of_a_job_starts_with_its_cause(log, code, error, tmp_path):
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1"], {"aaaa": ["seed=1"]})
    ledger.claim(ledger.job(0))
    ledger.log_path(0).parent.mkdir()
    ledger.log_path(0).write_text(log)
    record_outcome(ledger, 0, 1, code, "", stopped=False)
    job = ledger.job(0)
    assert (job.state, job.error.splitlines()[0]) == ("failed", error)
