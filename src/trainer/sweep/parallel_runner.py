"""Side by side: each job in a process of its own, and the next begins when one ends.

A job is an ordinary command, `trainer WORDS hydra.run.dir=SWEEP/7`: what fails, crashes or runs out of memory in it
harms no other. What it prints stands in SWEEP/output/7.log.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from trainer.sweep.executors.base import Begun, Engine
from trainer.sweep.job_queue import Turns
from trainer.sweep.progress_display import Board
from trainer.sweep.store.job_outcome import conclude
from trainer.sweep.store.job_store import Job

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
        turns: Which job is next.
        engine: Where the jobs run.
        command: The words that run a job.
        board: Is told what happens.
    """

    def __init__(self, turns: Turns, engine: Engine, command: Callable[[Job], list[str]], board: Board) -> None:
        self.turns, self.engine, self.command, self.board = turns, engine, command, board
        self.ledger = turns.ledger
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
        found = self.turns.next(1)
        self.board.jobs = self.turns.jobs
        return found[0] if found else None

    def _start(self, job: Job) -> None:
        self.running.append(Running(job, self.engine.begin(job, self.command(job))))
        self.turns.began([job])
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
