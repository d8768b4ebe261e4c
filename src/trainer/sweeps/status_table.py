"""Text lines that show the jobs of a sweep, and an estimate of the remaining time."""

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from trainer.core.formatting import format_duration
from trainer.core.metric_direction import Direction
from trainer.sweeps.store.job import RUNNABLE_STATES, Job, JobState
from trainer.sweeps.store.slurm_queue import SlurmJob


def format_job_lines(jobs: Sequence[Job], slurm_jobs: Mapping[int, SlurmJob] | None = None) -> Iterator[str]:
    """Yield a line for each job: number, state, seconds, identity, overrides; then its machine or error, if any.

    Args:
        jobs: Jobs of a sweep.
        slurm_jobs: Slurm jobs by job number. Defaults to none.
    """
    for job in jobs:
        slurm_job = (slurm_jobs or {}).get(job.number) if job.state == "running" else None
        seconds = f"{job.elapsed_seconds():.1f} s" if job.attempts else ""
        state = "queued" if slurm_job and slurm_job.is_pending else job.state
        yield f"#{job.number:<5} {state:11} {seconds:>9}  {job.identity}  {' '.join(job.overrides)}".rstrip()
        if location := _format_location(job, slurm_job):
            yield f"       {location}"
        if job.error:
            yield f"       {job.error.splitlines()[0]}"


def _format_location(job: Job, slurm_job: SlurmJob | None) -> str:
    """Return where a running job is executed, unless it is a process of this machine."""
    if job.state != "running":
        return ""
    hint = "if it is gone: trainer sweep resume DIRECTORY --force"
    if slurm_job and slurm_job.is_unreachable:
        return f"Slurm job {slurm_job.id}, last on {job.host}; Slurm cannot be asked from this machine; {hint}"
    if slurm_job and slurm_job.is_pending:
        return f"Slurm job {slurm_job.id}, waits for a machine ({slurm_job.reason})"
    if slurm_job:
        return f"Slurm job {slurm_job.id} on {slurm_job.nodes or job.host}"
    if job.host != platform.node():
        return f"process {job.pid} on {job.host}, which cannot be checked from this machine; {hint}"
    return ""


def format_estimate(jobs: Sequence[Job], max_parallel: int) -> str:
    """Return the estimated remaining time as text."""
    seconds = estimate_seconds_left(jobs, max_parallel)
    return "remaining time unknown until a job is done" if seconds is None else f"about {format_duration(seconds)} left"


def estimate_seconds_left(jobs: Sequence[Job], max_parallel: int, n_trials: int = 0) -> float | None:
    """Return the estimated seconds until all jobs are done, or None if no job is done yet.

    Args:
        jobs: All jobs of the sweep.
        max_parallel: Maximum number of jobs that run at a time.
        n_trials: Number of trials of a search. Defaults to 0.
    """
    done = [job.seconds for job in jobs if job.state in ("done", "pruned")]
    count = sum(job.state in (*RUNNABLE_STATES, "running") for job in jobs) + max(0, n_trials - len(jobs))
    return sum(done) / len(done) * -(-count // max_parallel) if done else None


def format_counts(jobs: Sequence[Job]) -> str:
    """Return the number of jobs in each state: `24 jobs: 20 done, 4 failed`."""
    states = Counter(job.state for job in jobs)
    counts = ", ".join(f"{states[state]} {state}" for state in get_args(JobState) if states[state])
    return f"{len(jobs)} jobs: {counts}"


def find_best_job(jobs: Sequence[Job], metric: str, direction: Direction) -> Job | None:
    """Return the job with the best value of a metric, or None if no job has one.

    Args:
        jobs: Jobs of the sweep.
        metric: Name of the metric in `result.json`.
        direction: `min` or `max`.
    """
    values = [(value, job) for job in jobs if (value := job.metric(metric)) is not None]
    best = (min if direction == "min" else max)(values, key=lambda pair: pair[0], default=None)
    return best[1] if best else None
