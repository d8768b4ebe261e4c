"""Best trials of a search, and its Pareto front with several metrics."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError
from trainer.core.formatting import format_number
from trainer.sweeps.search.optuna_adapter import SearchObjective, build_study
from trainer.sweeps.search.stored_search import load_search
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.trial_store import TrialLedger, extract_metrics


def compute_pareto_front(jobs: Sequence[Job], objective: SearchObjective) -> list[Job]:
    """Return the jobs that are done and not dominated by another one, sorted by the first metric, best first.

    Args:
        jobs: Jobs of the search.
        objective: Metrics and their directions. For a single metric the result is the best job, with ties.

    Source:
        Pareto 1896.
    """
    signs = [1 if direction == "max" else -1 for direction in objective.directions]
    scores = []
    for job in jobs:
        values = extract_metrics(job.result, objective.metrics) if job.state == "done" else None
        if values:
            scores.append(([sign * value for sign, value in zip(signs, values, strict=True)], job))
    front = [(score, job) for score, job in scores if not any(_dominates(other, score) for other, _ in scores)]
    return [job for _, job in sorted(front, key=lambda pair: (-pair[0][0], pair[1].number))]


def format_best_trials(ledger: TrialLedger) -> Iterator[str]:
    """Yield a line for each of the best trials: number, metrics, tried values; none if the sweep is not a search."""
    settings = ledger.settings()
    if settings is None:
        return
    _, objective = load_search(settings)
    trials = {trial.job.number: trial for trial in ledger.trials()}
    for job in compute_pareto_front([trial.job for trial in trials.values()], objective):
        metrics = "  ".join(f"{name} {format_number(job.metric(name))}" for name in objective.metrics)
        values = " ".join(f"{key}={value}" for key, value in trials[job.number].values.items())
        yield f"best  #{job.number}  {metrics}  {values}"


def load_study(sweep: str | Path) -> Any:
    """Return a search as an `optuna.Study` in memory, for Optuna's plots or a copy for its dashboard.

    Args:
        sweep: Directory of the search.

    Raises:
        UserError: The directory contains no search, or its ledger is corrupted.
    """
    ledger = TrialLedger(Path(sweep))
    settings = ledger.settings()
    if settings is None:
        raise UserError(f"'{sweep}' contains a sweep that is not a search")
    space, objective = load_search(settings)
    try:
        return build_study(ledger.trials(), space, objective)
    except (ValueError, TypeError) as error:
        raise UserError(f"the trials of '{sweep}' are not in the space of its search: {error}") from error


def _dominates(score: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether a score is nowhere worse and somewhere better than the other."""
    return all(a >= b for a, b in zip(score, other, strict=True)) and [*score] != [*other]
