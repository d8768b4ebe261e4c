"""Search for jobs whose process has ended without updating the ledger."""

from collections.abc import Container
from dataclasses import replace

from trainer.artifacts.run_lock import is_locked
from trainer.sweeps.store.job import JOB_STATE_BY_RUN_STATE, Job, JobState
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.process_liveness import is_process_alive
from trainer.sweeps.store.slurm_queue import find_slurm_jobs


def mark_dead_jobs(ledger: Ledger, *, include_remote: bool = False, skip: Container[int] = ()) -> None:
    """Write the states that `find_dead_jobs` returns."""
    for job in find_dead_jobs(ledger, include_remote=include_remote, skip=skip):
        seconds = (ledger.result(job.number) or {}).get("seconds", 0) if job.state != "interrupted" else 0
        ledger.finish(job.number, job.state, seconds=seconds, attempt=job.attempts, pid=job.pid)


def find_dead_jobs(ledger: Ledger, *, include_remote: bool = False, skip: Container[int] = ()) -> list[Job]:
    """Return running jobs whose process has ended, each as done if its result was written, else as interrupted.

    Args:
        ledger: Ledger of the sweep, which is not changed.
        include_remote: Whether to treat jobs on other machines that cannot be checked as ended.
        skip: Numbers of jobs that the caller monitors itself.
    """
    running = [job for job in ledger.jobs() if job.state == "running" and job.number not in skip]
    slurm_jobs = find_slurm_jobs(ledger.file, running)
    dead = []
    for job in running:
        if slurm_job := slurm_jobs.get(job.number):
            is_alive = not slurm_job.is_over and not (slurm_job.is_unreachable and include_remote)
        else:
            is_alive = is_process_alive(job.host, job.pid, job.process_start_time, remote_default=not include_remote)
            is_alive = is_alive or is_locked(ledger.sweep / str(job.number))  # the process id may be of a container
        if not is_alive:
            dead.append(replace(job, state=state_of_ended_process(ledger, job.number)))
    return dead


def state_of_ended_process(ledger: Ledger, number: int) -> JobState:
    """Return the state of a job whose process has ended: that of its result, or interrupted without one."""
    return JOB_STATE_BY_RUN_STATE.get(str((ledger.result(number) or {}).get("state")), "interrupted")
