"""Table: a sweep in lines of text, one for each job, and how long it will take."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from trainer.core.metric_direction import Direction
from trainer.sweep.store.job_store import TO_RUN, Job, State


def lines(jobs: Sequence[Job]) -> Iterator[str]:
    """Each job in a line: number, state, seconds, identity, words; and its error behind them."""
    for job in jobs:
        seconds = f"{job.seconds:.1f} s" if job.tries else ""
        yield f"#{job.number:<5} {job.state:11} {seconds:>9}  {job.identity}  {' '.join(job.words)}".rstrip()
        if job.error:
            yield f"       {job.error.splitlines()[0]}"


def estimate(jobs: Sequence[Job], at_a_time: int, wanted: int = 0) -> str:
    """How long the jobs that are not done will take, judged by those that are."""
    done = [job.seconds for job in jobs if job.state in ("done", "pruned")]
    left = seconds_left(jobs, at_a_time, wanted)
    if left is None:
        return "no time can be told before one is done"
    return f"about {duration(left)}, as {len(done)} took {sum(done) / len(done):.1f} s each"


def seconds_left(jobs: Sequence[Job], at_a_time: int, wanted: int = 0) -> float | None:
    """Seconds until all jobs are done; None where none is done yet.

    Args:
        jobs: All of the sweep.
        at_a_time: How many are run side by side.
        wanted: Of a search: how many jobs there are to be.
    """
    done = [job.seconds for job in jobs if job.state in ("done", "pruned")]
    todo = sum(job.state in (*TO_RUN, "running") for job in jobs) + max(0, wanted - len(jobs))
    return sum(done) / len(done) * -(-todo // at_a_time) if done else None


def duration(seconds: float) -> str:
    """Seconds as one would say them: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def counts(jobs: Sequence[Job]) -> str:
    """How many jobs stand how: `24 jobs: 20 done, 4 failed`."""
    states = Counter(job.state for job in jobs)
    return f"{len(jobs)} jobs: " + ", ".join(f"{states[state]} {state}" for state in get_args(State) if states[state])


def best(jobs: Sequence[Job], metric: str, direction: Direction) -> Job | None:
    """Return the job with the best value of a metric; None if no job has one.

    Args:
        jobs: Of the sweep.
        metric: As in `result.json`.
        direction: Whether small or large values are good.
    """
    valued = [(value, job) for job in jobs if (value := job.metric(metric)) is not None]
    chosen = (min if direction == "min" else max)(valued, key=lambda pair: pair[0], default=None)
    return chosen[1] if chosen else None
