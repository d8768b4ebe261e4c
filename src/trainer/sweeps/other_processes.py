"""Jobs of a sweep that other processes run: those of another command, or of one that was killed."""

import os
import platform
import time
from collections.abc import Collection, Mapping, Sequence

from trainer.core.errors import UserError
from trainer.core.formatting import quote_argument
from trainer.sweeps.job_queue import JobQueue
from trainer.sweeps.store.dead_jobs import mark_dead_jobs
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.slurm_queue import find_slurm_jobs

POLL_SECONDS = 0.5


def find_awaited_jobs(ledger: Ledger, jobs: Sequence[Job], own: Collection[int] = ()) -> dict[int, str]:
    """Return the running jobs of other processes whose end will be noticed: of this machine, or of Slurm.

    Args:
        ledger: Ledger of the sweep.
        jobs: All jobs of the sweep.
        own: Numbers of jobs that this command runs. Defaults to none.

    Returns:
        dict: Command that stops a job, by job number.
    """
    running = [job for job in jobs if job.state == "running" and job.number not in own and job.pid != os.getpid()]
    slurm_jobs = find_slurm_jobs(ledger.file, running) if running else {}
    awaited = {job.number: f"kill {job.pid}" for job in running if job.host == platform.node()}
    for number, slurm_job in slurm_jobs.items():
        awaited.pop(number, None)
        if not slurm_job.is_unreachable:
            awaited[number] = f"scancel {slurm_job.id}"
    return awaited


def format_awaited_jobs(awaited: Mapping[int, str]) -> str:
    """Return a message about the jobs that a command waits for, as returned by `find_awaited_jobs`."""
    commands = ", ".join(f"#{number} (to stop it: {command})" for number, command in sorted(awaited.items()))
    return f"waiting for jobs that other processes run: {commands}"


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
        awaited = find_awaited_jobs(queue.ledger, queue.jobs)
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
