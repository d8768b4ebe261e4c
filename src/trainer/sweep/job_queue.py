"""Turns: which jobs of a sweep are begun next, whoever begins them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import chain, islice

from trainer.sweep.store.job_store import Job, Ledger


class Turns:
    """The jobs that are to be begun: those never begun, those interrupted, then those that failed, as often as asked.

    Args:
        ledger: Of the sweep; others may work on it at the same time.
        retries: How often a failed job is begun once more.
        fail_fast: Whether to begin no further job once one has failed.
        more: Of a search: chooses a further job; None once there are enough. What has failed is there a trial as any
            other, and is begun again only as often as `retries` says, whenever that was.
    """

    def __init__(
        self, ledger: Ledger, retries: int, fail_fast: bool, more: Callable[[], Job | None] | None = None
    ) -> None:
        self.ledger, self.retries, self.fail_fast, self.more = ledger, retries, fail_fast, more
        self._before = {job.number: job.tries for job in ledger.jobs()}
        self._begun: Counter[int] = Counter()  # tries of this process
        self.jobs: list[Job] = []  # of the sweep, when it was last asked which are next

    def next(self, count: int | None = None) -> list[Job]:
        """The next jobs.

        Args:
            count: How many at most; None for all that are known, or the next one of a search.
        """
        jobs = self.jobs = self.ledger.jobs()
        since = {job.number: job.tries - self._before.get(job.number, 0) for job in jobs}
        failed = [job for job in jobs if job.state == "failed"]
        if self.fail_fast and any(since[job.number] for job in failed):
            return []
        left = [job for job in jobs if job.state in ("planned", "interrupted") and self._may(self._begun[job.number])]
        again = [job for job in failed if self._may(job.tries if self.more else since[job.number])]
        known = [*left, *again]
        return [*islice(chain(known, self._chosen()), len(known) or 1 if count is None else count)]

    def began(self, jobs: Collection[Job]) -> None:
        """Take note of jobs that were begun: one that is interrupted again and again is given up."""
        self._begun.update(job.number for job in jobs)

    def _may(self, tries: int) -> bool:
        return tries <= self.retries

    def _chosen(self) -> Iterator[Job]:
        while self.more and (job := self.more()):
            self.jobs = [*self.jobs, job]
            yield job
