"""States of jobs in the queue of Slurm, as `squeue` prints them."""

import sqlite3

import pytest

from trainer.sweeps.store import slurm_queue as module
from trainer.sweeps.store.dead_jobs import find_dead_jobs, mark_dead_jobs
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.slurm_queue import SlurmQueue, save_slurm_id


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Return a function that sets the output and the exit status of `squeue`."""
    calls = []
    answer = [0, ""]

    def run_command(command):
        calls.append(command)
        return tuple(answer)

    monkeypatch.setattr(module, "run_command", run_command)
    monkeypatch.setattr(module, "slurm_queue", SlurmQueue())

    def set_answer(output, code=0):
        answer[:] = [code, output]
        module.slurm_queue.poll_soon()
        return calls

    return set_answer


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1,2"], {"aaaa": ["seed=1"], "bbbb": ["seed=2"]})
    for job in ledger.jobs():
        ledger.claim(job)
        save_slurm_id(ledger.file, job.number, 1, str(7 + job.number))
    return ledger


@pytest.mark.parametrize(
    ("output", "code", "dead"),
    [
        ("7|PENDING||Priority\n8|RUNNING|node1|None\n", 0, []),
        ("7|COMPLETING|node1|None\n8|SUSPENDED|node1|None\n", 0, []),
        ("7|CANCELLED|node1|None\n8|RUNNING|node1|None\n", 0, [0]),
        ("8|RUNNING|node1|None\n", 0, [0]),
        ("slurm_load_jobs error: Invalid job id specified\n", 1, [0, 1]),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", 1, []),
        ("[Errno 2] No such file or directory: 'squeue'", 1, []),
    ],
    ids=["queued", "completing", "cancelled", "forgotten", "all-forgotten", "unreachable", "not-installed"],
)
def test_a_job_is_dead_if_slurm_says_so(output, code, dead, squeue, ledger):
    with sqlite3.connect(ledger.file) as database:  # the process that has submitted them has ended
        database.execute("UPDATE job SET process_start_time = '1'")
    squeue(output, code)
    content = ledger.file.read_bytes()
    assert [job.number for job in find_dead_jobs(ledger)] == dead
    assert ledger.file.read_bytes() == content
    mark_dead_jobs(ledger)
    assert [job.number for job in ledger.jobs() if job.state == "interrupted"] == dead


def test_jobs_of_an_unreachable_slurm_are_dead_on_request_only(squeue, ledger):
    squeue("Unable to contact slurm controller", 1)
    assert find_dead_jobs(ledger) == []
    assert len(find_dead_jobs(ledger, include_remote=True)) == 2


def test_a_running_job_of_slurm_is_never_dead(squeue, ledger):
    squeue("7|RUNNING|node1|None\n8|PENDING||Priority\n")
    assert find_dead_jobs(ledger, include_remote=True) == []


def test_the_id_of_an_earlier_attempt_is_not_used(squeue, ledger):
    calls = squeue("7|CANCELLED||None\n8|RUNNING|node1|None\n")
    ledger.finish(0, "interrupted")
    ledger.claim(ledger.job(0))  # its second attempt, not submitted yet
    assert find_dead_jobs(ledger) == []
    assert calls[-1][-1] == "--jobs=8"


def test_the_queue_is_read_in_growing_intervals(squeue, monkeypatch):
    seconds = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    calls = squeue("7|RUNNING|node1|None\n")
    for _ in range(600):
        module.slurm_queue.jobs(["7"])
        seconds[0] += 0.1
    assert 5 <= len(calls) <= 12
    squeue("7|COMPLETED|node1|None\n")
    assert module.slurm_queue.jobs(["7"])["7"].is_over
    count = len(calls)
    seconds[0] += 1000
    assert module.slurm_queue.jobs(["7"])["7"].state == "COMPLETED"
    assert len(calls) == count  # its end is final


def test_an_interrupted_attempt_that_a_cluster_starts_late_runs_again(ledger):
    ledger.finish(0, "interrupted")
    assert ledger.assign_process(0, 1, attempt=1)
    assert ledger.job(0).state == "running"
    ledger.finish(0, "done")
    assert not ledger.assign_process(0, 1, attempt=1)
    ledger.finish(1, "interrupted")
    ledger.claim(ledger.job(1))
    assert not ledger.assign_process(1, 1, attempt=1)


def test_the_time_in_the_queue_does_not_count_as_duration(ledger, monkeypatch):
    seconds = [100.0]
    monkeypatch.setattr("time.time", lambda: seconds[0])
    steps = [
        (lambda: ledger.assign_process(0, 1, attempt=1), 50),
        (lambda: ledger.hand_back(0, 1, ("host", 1, None)), 1000),
        (lambda: ledger.assign_process(0, 1, attempt=1), 7),
        (lambda: ledger.finish(0, "interrupted", attempt=1), 0),
    ]
    for step, duration in steps:
        step()
        seconds[0] += duration
    assert ledger.job(0).seconds == 57


def test_a_released_job_is_as_before_its_claim(ledger):
    ledger.finish(0, "failed", "an error")
    failed = ledger.job(0)
    assert ledger.claim(failed)
    ledger.release(failed)
    assert ledger.job(0) == failed
