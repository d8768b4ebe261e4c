"""Parallel execution of sweep jobs, each in a separate process.

A job is an ordinary command, `trainer OVERRIDES hydra.run.dir=SWEEP/7`, so a failure, crash or lack of memory does not
affect other jobs. Its output is stored in SWEEP/output/7.log.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from trainer.artifacts.ledger_file import LedgerBusyError
from trainer.core.errors import UserError
from trainer.core.signal_kinds import handled_signals, is_hangup, is_single_request
from trainer.core.standard_streams import discard_output_to_closed_terminal
from trainer.sweeps.executors.base import Executor, JobExit, JobHandle, SubmissionRefusedError
from trainer.sweeps.job_queue import JobQueue
from trainer.sweeps.other_processes import find_awaited_jobs, format_awaited_jobs
from trainer.sweeps.progress_display import SweepProgress
from trainer.sweeps.store.dead_jobs import mark_dead_jobs, state_of_ended_process
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_outcome import record_outcome

POLL_SECONDS = 0.5  # maximum delay of the reaction to a signal
SAVE_SECONDS = 60.0  # for jobs that are stopped because of an error of the sweep
MIN_REFUSAL_SECONDS = 2.0  # until the next submission after a cluster has refused one
MAX_REFUSAL_SECONDS = 60.0


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
        self._n_handled = 0  # signals
        self._message = ""  # last message about the reason to wait
        self._refusal = ""  # last message of a cluster that accepts no job
        self._refusal_seconds = MIN_REFUSAL_SECONDS
        self._submission_time = 0.0  # time of the next submission after a refusal

    def run(self) -> int:
        """Run until the queue is empty or a signal arrives.

        Returns:
            int: Number of the signal, or 0.
        """
        self.ledger.log_path(0).parent.mkdir(exist_ok=True)
        with self._signal_handlers(), self.progress:
            is_active = True
            while is_active:
                try:
                    is_active = self._run_step()
                except LedgerBusyError as error:
                    if len(self.signals) > 1:
                        raise
                    self._print_once(f"waiting: {error}")
                    time.sleep(POLL_SECONDS)
        return self.signals[0] if self.signals else 0

    def _run_step(self) -> bool:
        """Start jobs, wait for the end of one, and record it; return False if nothing is left to do."""
        if len(self.signals) > self._n_handled:
            self._n_handled = len(self.signals)
            if self._n_handled > 2 and self.executor.jobs_outlive_command:
                self.progress.print_line(f"{len(self.running)} job(s) stay in the queue of the cluster")
                return False
            self._stop(kill=self._n_handled > 1)
        has_jobs = self._start_jobs()
        self.executor.start()
        if not has_jobs and not self.running:
            return False
        if self.running:
            self.executor.wait([running.handle for running in self.running], POLL_SECONDS)
        else:
            time.sleep(POLL_SECONDS)
        for running in [running for running in self.running if running.handle.done()]:
            self._finish_job(running)
        self.progress.refresh(self.ledger, [running.job.number for running in self.running])
        return True

    def _start_jobs(self) -> bool:
        """Start jobs up to the capacity; return whether any job runs, waits for its submission, or is awaited."""
        while time.monotonic() >= self._submission_time and len(self.running) < self.executor.capacity():
            job = self._next()
            if job is None:
                return self._is_awaiting_others()
            if self.ledger.claim(job):
                try:
                    handle = self.executor.submit(job, self.command(job))
                except SubmissionRefusedError as error:
                    self.ledger.release(job)
                    self._postpone_submissions(str(error))
                    break
                except BaseException:
                    self.ledger.release(job)
                    raise
                self._refusal_seconds = MIN_REFUSAL_SECONDS
                self.running.append(RunningJob(job, handle))
                if len(self.running) >= self.executor.capacity():  # else a limit of the cluster may still be reached
                    self._refusal = ""
                self.queue.mark_started([job])
                self.progress.job_started(job)
        return bool(self.running) or not self.signals

    def _is_awaiting_others(self) -> bool:
        """Return whether other processes run jobs, which this one starts again if they are interrupted."""
        own = {running.job.number for running in self.running}
        awaited = {} if self.signals else find_awaited_jobs(self.ledger, self.queue.jobs, own)
        if awaited and not self.running:
            self._print_once(format_awaited_jobs(awaited))
        return bool(awaited)

    def _print_once(self, message: str) -> None:
        if message != self._message:
            self.progress.print_line(message)
        self._message = message

    def _postpone_submissions(self, message: str) -> None:
        """Wait before the next submission, longer after each refusal; the end of a running job ends the wait."""
        if message != self._refusal:
            self.progress.print_line(f"no job is accepted at the moment, retrying: {message}")
        self._refusal = message
        self._submission_time = time.monotonic() + self._refusal_seconds
        self._refusal_seconds = min(2 * self._refusal_seconds, MAX_REFUSAL_SECONDS)

    def _next(self) -> Job | None:
        if self.signals:
            return None
        mark_dead_jobs(self.ledger, skip={running.job.number for running in self.running})
        jobs = self.queue.next(1)
        self.progress.jobs = self.queue.jobs
        return jobs[0] if jobs else None

    def _finish_job(self, running: RunningJob) -> None:
        end = running.handle.exit()
        attempt = running.job.attempts + 1
        job = self.ledger.job(running.job.number)
        if job.state == "running" and job.attempts == attempt:
            is_waiting = job.started is None  # it has not started yet, or it was handed back after a part of its work
            is_lost = end.kind == "lost" or (is_waiting and job.seconds == running.job.seconds)
            is_stopped = end.kind == "stopped" or bool(self.signals)
            if is_lost and not is_stopped and self._put_back(job, end):
                self.running.remove(running)
                return
            stopped = is_stopped or (is_waiting and not is_lost)
            record_outcome(self.ledger, job.number, attempt, end.code, end.reason, stopped=stopped)
        self.progress.job_finished(self.ledger.job(job.number))
        self.running.remove(running)  # only now: the ledger may have been busy
        self._submission_time = 0.0

    def _put_back(self, job: Job, end: JobExit) -> bool:
        """Return a job that was lost with its machine to the queue; return False if it is not to be started again."""
        if state_of_ended_process(self.ledger, job.number) != "interrupted" or not self.queue.put_back(job.number):
            return False
        self.ledger.finish(job.number, "interrupted", end.reason, attempt=job.attempts)
        avoided = ""
        if end.machine:
            self.executor.avoid(end.machine)
            avoided = f"; no further job runs on {end.machine}"
        self.progress.print_line(f"#{job.number} is put back into the queue: {end.reason}{avoided}")
        return True

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

    def _end_jobs(self) -> None:
        """Stop the jobs that an error has left running; kill those that do not save in time."""
        with suppress(UserError):  # such as a ledger that was removed
            for running in self.running:
                running.handle.stop()
            deadline = time.monotonic() + SAVE_SECONDS
            while time.monotonic() < deadline and not all(running.handle.done() for running in self.running):
                time.sleep(POLL_SECONDS)
        for running in self.running:
            with suppress(UserError):
                running.handle.kill()

    @contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        """Collect signals; at the end stop the jobs that an error has left running, unless they outlive the command."""

        def append(number: int, frame: FrameType | None) -> None:
            if is_hangup(number):
                discard_output_to_closed_terminal()
            if not (self.signals and is_single_request(number)):
                self.signals.append(number)

        handlers = {number: signal.signal(number, append) for number in handled_signals()}
        try:
            yield
        finally:
            if not self.executor.jobs_outlive_command:
                self._end_jobs()
            self.executor.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
