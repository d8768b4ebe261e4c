"""Queue of the jobs of a sweep that are to be started."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import chain, islice

from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger

MAX_LOSSES = 3  # of a job with its machine, until it counts as failed


class JobQueue:
    """The runnable jobs: planned ones, interrupted ones, then failed ones up to the number of retries.

    Args:
        ledger: Ledger of the sweep; other processes may use it at the same time.
        retries: Number of retries of a failed job.
        fail_fast: Whether to start no further job after a failure.
        next_trial: Function of a search that chooses the next job and returns None after the last one. In a search
            `retries` also counts the attempts of earlier commands, as a failed job is a valid trial.
    """

    def __init__(
        self, ledger: Ledger, retries: int, fail_fast: bool, next_trial: Callable[[], Job | None] | None = None
    ) -> None:
        self.ledger = ledger
        self.retries = retries
        self.fail_fast = fail_fast
        self.next_trial = next_trial
        self.jobs: list[Job] = []  # all jobs of the sweep at the last call of `next`
        self._initial_attempts = {job.number: job.attempts for job in ledger.jobs()}
        self._start_counts: Counter[int] = Counter()  # attempts that this process has started
        self._losses: Counter[int] = Counter()  # of them, those that were lost with their machine

    def next(self, count: int | None = None) -> list[Job]:
        """Return the next jobs.

        Args:
            count: Maximum number of jobs; None for all runnable ones, or the next trial of a search.
        """
        jobs = self.jobs = self.ledger.jobs()
        attempts = {
            job.number: job.attempts - self._initial_attempts.get(job.number, 0) - self._losses[job.number]
            for job in jobs
        }
        failed = [job for job in jobs if job.state == "failed"]
        if self.fail_fast and any(attempts[job.number] for job in failed):
            return []
        runnable = [
            job
            for job in jobs
            if job.state in ("planned", "interrupted") and self._start_counts[job.number] <= self.retries
        ]
        runnable += [
            job for job in failed if (job.attempts if self.next_trial else attempts[job.number]) <= self.retries
        ]
        return [*islice(chain(runnable, self._trials()), len(runnable) or 1 if count is None else count)]

    def mark_started(self, jobs: Collection[Job]) -> None:
        """Count the start of jobs, so that a job that is interrupted repeatedly is not started forever."""
        self._start_counts.update(job.number for job in jobs)

    def put_back(self, number: int) -> bool:
        """Let a job that was lost with its machine start again; return False if that has happened too often."""
        if self._losses[number] == MAX_LOSSES:
            return False
        self._losses[number] += 1
        self._start_counts[number] -= 1
        return True

    def _trials(self) -> Iterator[Job]:
        while self.next_trial and (job := self.next_trial()):
            self.jobs = [*self.jobs, job]
            yield job
