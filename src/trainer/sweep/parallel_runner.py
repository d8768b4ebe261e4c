"""Parallel execution of sweep jobs, each in a separate process.

A job is an ordinary command, `trainer OVERRIDES hydra.run.dir=SWEEP/7`, so a failure, crash or lack of memory does not
affect other jobs. Its output is stored in SWEEP/output/7.log.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from trainer.core.signals import discard_output_to_closed_terminal, handled_signals, is_hangup
from trainer.sweep.executors.base import Executor, JobHandle
from trainer.sweep.job_queue import JobQueue
from trainer.sweep.progress_display import SweepProgress
from trainer.sweep.store.job_outcome import record_outcome
from trainer.sweep.store.job_store import Job

POLL_SECONDS = 0.5  # maximum delay of the reaction to a signal


@dataclass
class RunningJob:
    """A running job.

    Args:
        job: State of the job before it was claimed.
        handle: Handle of the executor.
    """

    job: Job
    handle: JobHandle


class ParallelRunner:
    """Runs the jobs of a sweep that are not done.

    Args:
        queue: Queue of jobs.
        executor: Executor that runs them.
        command: Function that returns the overrides of a job.
        progress: Display of the progress.
    """

    def __init__(
        self, queue: JobQueue, executor: Executor, command: Callable[[Job], list[str]], progress: SweepProgress
    ) -> None:
        self.queue = queue
        self.ledger = queue.ledger
        self.executor = executor
        self.command = command
        self.progress = progress
        self.running: list[RunningJob] = []
        self.signals: list[int] = []

    def run(self) -> int:
        """Run until the queue is empty or a signal arrives.

        Returns:
            int: Number of the signal, or 0.
        """
        self.ledger.log_path(0).parent.mkdir(exist_ok=True)
        n_handled = 0
        with self._signal_handlers(), self.progress:
            while self._start_jobs() or self.running:
                self.executor.wait([running.handle for running in self.running], POLL_SECONDS)
                if len(self.signals) > n_handled:
                    n_handled = len(self.signals)
                    self._stop(kill=n_handled > 1)
                for running in [running for running in self.running if running.handle.done()]:
                    self._finish_job(running)
                self.progress.refresh([running.job for running in self.running])
        return self.signals[0] if self.signals else 0

    def _start_jobs(self) -> bool:
        """Start jobs up to the capacity; return whether any job runs."""
        while len(self.running) < self.executor.capacity() and (job := self._next()):
            if self.ledger.claim(job):
                self.running.append(RunningJob(job, self.executor.submit(job, self.command(job))))
                self.queue.mark_started([job])
                self.progress.job_started(job)
        return bool(self.running)

    def _next(self) -> Job | None:
        if self.signals:
            return None
        self.ledger.mark_dead_jobs(skip={running.job.number for running in self.running})
        jobs = self.queue.next(1)
        self.progress.jobs = self.queue.jobs
        return jobs[0] if jobs else None

    def _finish_job(self, running: RunningJob) -> None:
        self.running.remove(running)
        code, reason = running.handle.exit_status()
        number = running.job.number
        record_outcome(self.ledger, number, running.job.tries + 1, code, reason, stopped=bool(self.signals))
        self.progress.job_finished(self.ledger.job(number))

    def _stop(self, *, kill: bool) -> None:
        self.progress.print_line(
            "killing the running jobs"
            if kill
            else f"stopping: {len(self.running)} running job(s) save and exit; press Ctrl-C again to kill them"
        )
        for running in self.running:
            if kill:
                running.handle.kill()
            else:
                running.handle.stop()

    @contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        """Collect signals; at the end kill the jobs that an error has left running."""

        def append(number: int, frame: FrameType | None) -> None:
            if is_hangup(number):
                discard_output_to_closed_terminal()
                if self.signals:
                    return
            self.signals.append(number)

        handlers = {number: signal.signal(number, append) for number in handled_signals()}
        try:
            yield
        finally:
            for running in self.running:
                running.handle.kill()
            self.executor.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
