"""Front: the best trials of a search; with several metrics all of those that no other one beats in each of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError
from trainer.sweep.search.optuna_adapter import Goal, study
from trainer.sweep.search.search import read
from trainer.sweep.store.job_store import Job
from trainer.sweep.store.trial_store import Trials, values_of


def front(jobs: Sequence[Job], goal: Goal) -> list[Job]:
    """The jobs that are done and that no other one beats, the best by the first metric first.

    Args:
        jobs: Of the search.
        goal: Its metrics and their directions.

    Source:
        Pareto 1896; for one metric it is the best job, or all that are equally good.
    """
    signs = [1 if direction == "max" else -1 for direction in goal.directions]
    valued = []
    for job in jobs:
        values = values_of(job.result, goal.metrics) if job.state == "done" else None
        if values:
            valued.append(([sign * value for sign, value in zip(signs, values, strict=True)], job))
    unbeaten = [(mine, job) for mine, job in valued if not any(_beats(other, mine) for other, _ in valued)]
    return [job for _, job in sorted(unbeaten, key=lambda pair: (-pair[0][0], pair[1].number))]


def lines_of_best(ledger: Trials) -> Iterator[str]:
    """The best trials in a line each: number, metrics, what was tried; nothing for a sweep that is no search."""
    settings = ledger.settings()
    if settings is None:
        return
    _, goal = read(settings)
    trials = {trial.job.number: trial for trial in ledger.trials()}
    for job in front(ledger.jobs(), goal):
        reached = "  ".join(f"{name} {job.metric(name):.4g}" for name in goal.metrics)
        tried = " ".join(f"{key}={value}" for key, value in trials[job.number].values.items())
        yield f"best  #{job.number}  {reached}  {tried}"


def study_of(sweep: str | Path) -> Any:
    """A search as an `optuna.Study` in memory, for Optuna's own plots, or to be copied for its dashboard.

    Args:
        sweep: Its directory.

    Raises:
        UserError: It holds no search.
    """
    ledger = Trials(Path(sweep))
    settings = ledger.settings()
    if settings is None:
        raise UserError(f"'{sweep}' is a sweep, but no search")
    return study(ledger.trials(), *read(settings))


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one is nowhere worse and somewhere better."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and [*one] != [*other]
