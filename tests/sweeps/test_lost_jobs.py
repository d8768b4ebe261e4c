"""Jobs that a cluster refuses, loses, or cannot start on one of its machines."""

import signal
from collections import Counter

import pytest

from trainer.core.errors import UserError
from trainer.sweeps import parallel_runner
from trainer.sweeps.executors.base import JobExit, SubmissionRefusedError
from trainer.sweeps.job_queue import MAX_LOSSES, JobQueue
from trainer.sweeps.parallel_runner import ParallelRunner
from trainer.sweeps.progress_display import SweepProgress
from trainer.sweeps.store.job_store import Ledger

LOST = JobExit(1, "the machine is gone", "lost", "node2")


class ScriptedExecutor:
    """Executor whose submissions end in a scripted way.

    Args:
        ledger: Ledger of the sweep.
        script: Result of each submission: an error to raise, an end, or `done`; `done` after the last one.
        starts: Whether the jobs start before they end.
    """

    jobs_outlive_command = True

    def __init__(self, ledger, script, starts=True):
        self.ledger = ledger
        self.script = list(script)
        self.starts = starts
        self.avoided = []
        self.submitted = Counter()
        self.killed = []

    def capacity(self):
        return 2

    def start(self):
        pass

    def submit(self, job, overrides):
        result = self.script.pop(0) if self.script else "done"
        if isinstance(result, Exception):
            raise result
        self.submitted[job.number] += 1
        if self.starts or result == "done":
            self.ledger.assign_process(job.number, 1, job.attempts + 1)
        if result == "done":
            self.ledger.finish(job.number, "done", attempt=job.attempts + 1)
            result = JobExit()
        return ScriptedHandle(self, job.number, result)

    def wait(self, handles, seconds):
        pass

    def avoid(self, machine):
        self.avoided.append(machine)

    def close(self):
        pass


class ScriptedHandle:
    """Handle of a job that has ended."""

    def __init__(self, executor, number, end):
        self.executor = executor
        self.number = number
        self.end = end

    def done(self):
        return True

    def exit(self):
        return self.end

    def kill(self):
        self.executor.killed.append(self.number)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run two jobs with a script; return the executor and the jobs."""
    monkeypatch.setattr(parallel_runner, "MIN_REFUSAL_SECONDS", 0.01)
    monkeypatch.setattr(parallel_runner, "POLL_SECONDS", 0.01)
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1,2"], {"aaaa": ["seed=1"], "bbbb": ["seed=2"]})

    def run(script, starts=True, retries=0):
        executor = ScriptedExecutor(ledger, script, starts)
        queue = JobQueue(ledger, retries, fail_fast=False)
        ParallelRunner(queue, executor, lambda job: job.overrides, SweepProgress({}, 2)).run()
        return executor, ledger.jobs()

    return run


def test_a_refused_job_is_submitted_again_as_the_same_attempt(run, capsys):
    refusal = SubmissionRefusedError("AssocMaxSubmitJobLimit")
    executor, jobs = run(["done", refusal, refusal, refusal])
    assert [(job.state, job.attempts) for job in jobs] == [("done", 1)] * 2
    assert executor.submitted == {0: 1, 1: 1}
    assert capsys.readouterr().out.count("no job is accepted at the moment, retrying: AssocMaxSubmitJobLimit") == 1


def test_an_error_of_the_executor_leaves_the_other_jobs_running_and_the_job_planned(run, tmp_path):
    with pytest.raises(UserError, match="invalid partition"):
        run([JobExit(), UserError("invalid partition")])
    jobs = Ledger(tmp_path).jobs()
    assert [(job.state, job.attempts) for job in jobs] == [("running", 1), ("planned", 0)]


def test_a_lost_job_starts_again_without_retries_and_its_machine_is_avoided(run, capsys):
    executor, jobs = run([LOST])
    assert [(job.state, job.attempts) for job in jobs] == [("done", 2), ("done", 1)]
    assert executor.avoided == ["node2"]
    line = "#0 is put back into the queue: the machine is gone; no further job runs on node2"
    assert line in capsys.readouterr().out


def test_a_job_that_ended_before_it_started_is_put_back(run):
    executor, jobs = run([JobExit(1, "no such directory", machine="node1")], starts=False)
    assert [job.state for job in jobs] == ["done", "done"]
    assert executor.avoided == ["node1"]


def test_a_job_that_started_and_failed_is_not_put_back(run):
    executor, jobs = run([JobExit(1, "an error", machine="node1")])
    assert [(job.state, job.error) for job in jobs] == [("failed", "an error"), ("done", None)]
    assert executor.avoided == []


def test_a_job_that_is_lost_repeatedly_fails(run):
    executor, jobs = run([LOST, LOST] * (MAX_LOSSES + 1))
    assert [(job.state, job.error) for job in jobs] == [("failed", "the machine is gone")] * 2
    assert executor.submitted == {0: MAX_LOSSES + 1, 1: MAX_LOSSES + 1}


def test_a_cancelled_job_is_interrupted_with_its_reason_and_started_again_only_by_retries(run):
    stopped = JobExit(1, "Slurm job 16 was cancelled", "stopped")
    _, jobs = run([stopped])
    assert [(job.state, job.error) for job in jobs] == [("interrupted", stopped.reason), ("done", None)]
    _, jobs = run([stopped], retries=1)
    assert [(job.state, job.error) for job in jobs] == [("done", None)] * 2


@pytest.mark.parametrize("is_slurm_job", [False, True])
def test_a_second_sigterm_kills_the_jobs_unless_slurm_sends_it(is_slurm_job, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if is_slurm_job:
        monkeypatch.setenv("SLURM_JOB_ID", "1")
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1,2"], {"aaaa": ["seed=1"], "bbbb": ["seed=2"]})
    executor = ScriptedExecutor(ledger, [])
    executor.wait = lambda *_: [signal.raise_signal(signal.SIGTERM) for _ in range(2)]
    queue = JobQueue(ledger, retries=0, fail_fast=False)
    assert ParallelRunner(queue, executor, lambda job: job.overrides, SweepProgress({}, 2)).run() == signal.SIGTERM
    output = capsys.readouterr().out
    assert ("stopping: 0 running job(s) save and exit" in output) == is_slurm_job
    assert ("killing the running jobs" in output) != is_slurm_job
