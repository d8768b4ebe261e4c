"""Jobs of a sweep that other processes run: those of another command, or of one that was killed."""

import os
import platform
import time
from collections.abc import Collection, Sequence

from trainer.core.errors import UserError
from trainer.core.formatting import quote_argument
from trainer.sweep.job_queue import JobQueue
from trainer.sweep.store.dead_jobs import mark_dead_jobs
from trainer.sweep.store.job_store import Job, Ledger

POLL_SECONDS = 0.5


def find_awaited_jobs(jobs: Sequence[Job], own: Collection[int] = ()) -> list[Job]:
    """Return the running jobs of other processes of this machine, whose end will be noticed.

    Args:
        jobs: All jobs of a sweep.
        own: Numbers of jobs that this command runs. Defaults to none.
    """
    return [
        job
        for job in jobs
        if job.state == "running" and job.host == platform.node() and job.number not in own and job.pid != os.getpid()
    ]


def format_awaited_jobs(jobs: Sequence[Job]) -> str:
    """Return a message about the jobs that a command waits for."""
    processes = ", ".join(f"#{job.number} (process {job.pid})" for job in jobs)
    pids = " ".join(str(job.pid) for job in jobs)
    return f"waiting for jobs that other processes run: {processes}; to stop them: kill {pids}"


def next_jobs(queue: JobQueue, count: int | None) -> list[Job]:
    """Return the next jobs of a queue; if there are none, first wait for other processes of this machine.

    Args:
        queue: Queue of jobs.
        count: Maximum number of jobs; None for all.
    """
    message = ""
    while True:
        mark_dead_jobs(queue.ledger)
        jobs = queue.next(count)
        awaited = find_awaited_jobs(queue.jobs)
        if jobs or not awaited:
            return jobs
        if (text := format_awaited_jobs(awaited)) != message:
            print(text, flush=True)
        message = text
        time.sleep(POLL_SECONDS)


def require_no_running_jobs(ledger: Ledger) -> None:
    """Raise an error if jobs run on other machines, so that the sweep is not complete.

    Raises:
        UserError: There are such jobs.
    """
    running = [job for job in ledger.jobs() if job.state == "running"]
    if running:
        lines = "".join(f"\n  job {job.number}: process {job.pid} on {job.host}" for job in running)
        command = f"trainer sweep resume {quote_argument(ledger.sweep)}"
        raise UserError(
            f"{len(running)} job(s) run on other machines, which cannot be checked from this one:{lines}"
            f"\n  when they have ended, or to run the others: {command}; if a machine is gone: {command} --force"
        )
