"""Side by side: each job in a process of its own, and the next begins when one ends.

A job is an ordinary command, `trainer WORDS hydra.run.dir=SWEEP/7`: what fails, crashes or runs out of memory in it
harms no other. What it prints stands in SWEEP/output/7.log.
"""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from trainer.sweep.board import Board
from trainer.sweep.engine import Begun, Engine
from trainer.sweep.ledger import Job, Ledger
from trainer.sweep.verdict import conclude

PAUSE = 0.5  # seconds after which signals are answered, if no job ends before
ANSWERED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Running:
    """A job at work.

    Args:
        job: As it was taken from the ledger.
        begun: What its engine knows it by.
    """

    job: Job
    begun: Begun


class SideBySide:
    """Runs the jobs of a sweep that are not done.

    Args:
        ledger: Of the sweep; others may work on it at the same time.
        engine: Where the jobs run.
        command: The words that run a job.
        retries: How often a failed job is begun once more.
        fail_fast: Whether to begin no further job once one has failed.
        board: Is told what happens.
        more: Of a search: chooses a further job; None once there are enough. What has failed is there a trial as any
            other, and is begun again only as often as `retries` says, whenever that was.
    """

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        command: Callable[[Job], list[str]],
        retries: int,
        fail_fast: bool,
        board: Board,
        more: Callable[[], Job | None] | None = None,
    ) -> None:
        self.ledger, self.engine, self.command, self.board = ledger, engine, command, board
        self.retries, self.fail_fast, self.more = retries, fail_fast, more
        self.begun: Counter[int] = Counter()  # tries of this process
        self.before = {job.number: job.tries for job in ledger.jobs()}
        self.running: list[Running] = []
        self.signals: list[int] = []

    def run(self) -> int:
        """Run until nothing is left to begin.

        Returns:
            int: The signal that ended it before; else 0.
        """
        self.ledger.output(0).parent.mkdir(exist_ok=True)
        told = 0
        with self._answering(), self.board:
            while self._begin() or self.running:
                self.engine.wait([each.begun for each in self.running], PAUSE)
                if len(self.signals) > told:
                    told = len(self.signals)
                    self._stop(kill=told > 1)
                for each in [each for each in self.running if each.begun.over()]:
                    self._end(each)
                self.board.refresh([each.job for each in self.running])
        return self.signals[0] if self.signals else 0

    def _begin(self) -> bool:
        """Fill the empty places; False where none is left to be filled, or nobody to fill it."""
        while len(self.running) < self.engine.places() and (job := self._next()):
            if self.ledger.start(job):
                self._start(job)
        return bool(self.running)

    def _next(self) -> Job | None:
        if self.signals:
            return None
        self.ledger.notice_the_dead(but={each.job.number for each in self.running})
        jobs = self.ledger.jobs()
        self.board.jobs = jobs
        since = {job.number: job.tries - self.before.get(job.number, 0) for job in jobs}
        failed = [job for job in jobs if job.state == "failed"]
        if self.fail_fast and any(since[job.number] for job in failed):
            return None
        for job in jobs:
            if job.state == "planned" or (job.state == "interrupted" and self.begun[job.number] <= self.retries):
                return job
        tries = {job.number: job.tries if self.more else since[job.number] for job in failed}
        again = next((job for job in failed if tries[job.number] <= self.retries), None)
        if again is None and self.more and (again := self.more()):
            self.board.jobs = [*jobs, again]
        return again

    def _start(self, job: Job) -> None:
        self.running.append(Running(job, self.engine.begin(job, self.command(job))))
        self.begun[job.number] += 1
        self.board.began(job)

    def _end(self, one: Running) -> None:
        self.running.remove(one)
        code, why = one.begun.end()
        conclude(self.ledger, one.job.number, one.job.tries + 1, code, why, stopped=bool(self.signals))
        self.board.ended(self.ledger.job(one.job.number))

    def _stop(self, *, kill: bool) -> None:
        self.board.say(
            "killing the running jobs"
            if kill
            else f"stopping: {len(self.running)} running job(s) save and leave (once more to kill them)"
        )
        for each in self.running:
            if kill:
                each.begun.kill()
            else:
                each.begun.stop()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Within this, signals are counted, and no process of a job is left behind by an error."""

        def answer(number: int, frame: FrameType | None) -> None:
            self.signals.append(number)

        before = {number: signal.signal(number, answer) for number in ANSWERED}
        try:
            yield
        finally:
            for each in self.running:
                each.begun.kill()
            self.engine.close()
            for number, handler in before.items():
                signal.signal(number, handler)
