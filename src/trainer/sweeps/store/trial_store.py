"""Ledger of a search, which also contains the tried values and reported metrics of each job.

The Optuna study is rebuilt from this ledger for each question. So there is only one file, and no second one that could
disagree with it after a `kill -9`.
"""

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.core.metric_direction import Direction
from trainer.sweeps.search.dimensions import Value
from trainer.sweeps.store.job import Job, JobState
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.ledger_rows import InvalidRowError, parse_search, parse_trial

TABLES = (
    "CREATE TABLE IF NOT EXISTS search (number INTEGER PRIMARY KEY CHECK (number = 0), settings TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS trial (number INTEGER PRIMARY KEY, trial_values TEXT NOT NULL, notes TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS report (number INTEGER, epoch INTEGER, value REAL, PRIMARY KEY (number, epoch))",
)
# in every sweep, not only in searches
OPTIMIZED_TABLE = "CREATE TABLE IF NOT EXISTS optimized (metric TEXT PRIMARY KEY, direction TEXT NOT NULL)"


@dataclass(frozen=True)
class Trial:
    """A job of a search.

    Args:
        job: Row of the ledger.
        values: Tried values by key.
        notes: Internal data of the sampler and the pruner.
        reports: Values of the metric by epoch, from 1.
    """

    job: Job
    values: dict[str, Value]
    notes: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)


class TrialLedger(Ledger):
    """The ledger of a search."""

    @classmethod
    def open_or_create(cls, sweep: Path) -> "TrialLedger":
        """Return the ledger of a search; create it if it does not exist. The directory must exist."""
        ledger = cls(super().open_or_create(sweep).sweep)
        with ledger._transaction() as database:
            for statement in TABLES:
                database.execute(statement)
        return ledger

    def settings(self) -> dict[str, Any] | None:
        """Return the settings of the search, or None if the sweep is not a search."""
        with self._connection() as database, suppress(sqlite3.OperationalError):  # no such table
            row = database.execute("SELECT settings FROM search").fetchone()
            return parse_search(row[0]) if row else None
        return None

    def save_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the settings of the search."""
        self._update("INSERT OR REPLACE INTO search VALUES (0, ?)", json.dumps(settings))

    def save_directions(self, directions: Mapping[str, Direction]) -> None:
        """Write the optimized metrics of a command, each with its direction."""
        with self._transaction() as database:
            database.execute(OPTIMIZED_TABLE)
            database.execute("DELETE FROM optimized")
            database.executemany("INSERT INTO optimized VALUES (?, ?)", [*directions.items()])

    def trials(self) -> list[Trial]:
        """Return all trials in the order of their numbers."""
        with self._connection() as database:
            rows = database.execute("SELECT number, trial_values, notes FROM trial ORDER BY number").fetchall()
            reports = database.execute("SELECT number, epoch, value FROM report ORDER BY number, epoch").fetchall()
            parsed = {number: parse_trial(*texts) for number, *texts in rows}
            if not all(isinstance(value, float | None) and isinstance(epoch, int) for _, epoch, value in reports):
                raise InvalidRowError("report: expected an epoch and a number")
        jobs = {job.number: job for job in self.jobs()}
        trials = {number: Trial(jobs[number], *parsed[number]) for number in parsed if number in jobs}
        for number, epoch, value in reports:
            if number in trials:
                trials[number].reports[epoch] = math.nan if value is None else value  # SQLite stores NaN as NULL
        return [*trials.values()]

    def finish(self, number: int, state: JobState, error: str | None = None, **kwargs: Any) -> None:
        """Write how a running job ended. A job without a finite value of each optimized metric has failed."""
        settings = self.settings()
        if settings and state == "done":
            metrics = settings["goal"]["metrics"]
            if extract_metrics(self.result(number), metrics) is None:
                state = "failed"
                error = f"{', '.join(metrics)}: missing in the result, or not a number"
        super().finish(number, state, error, **kwargs)

    def add(self, trial: Trial) -> bool:
        """Write a new trial.

        Returns:
            bool: False if another process has added a trial since this one was chosen, or a job with the same config
                exists.
        """
        job = trial.job
        with self._transaction() as database:
            (count,) = database.execute("SELECT COUNT(*) FROM job").fetchone()
            (same,) = database.execute("SELECT COUNT(*) FROM job WHERE identity = ?", (job.identity,)).fetchone()
            if count != job.number or same:
                return False
            values = (job.number, job.identity, json.dumps(job.overrides))
            database.execute("INSERT INTO job (number, identity, overrides) VALUES (?, ?, ?)", values)
            values = (job.number, json.dumps(trial.values), json.dumps(trial.notes))
            database.execute("INSERT INTO trial VALUES (?, ?, ?)", values)
        return True

    def report(self, number: int, epoch: int, value: float) -> None:
        """Write the metric of a trial after an epoch."""
        self._update("INSERT OR REPLACE INTO report VALUES (?, ?, ?)", number, epoch, value)

    def save_notes(self, number: int, notes: Mapping[str, Any]) -> None:
        """Write the internal data of the sampler and the pruner for a trial."""
        self._update("UPDATE trial SET notes = ? WHERE number = ?", json.dumps(notes), number)


def extract_metrics(result: Mapping[str, Any] | None, metrics: Sequence[str]) -> list[float] | None:
    """Return the metrics of a result, or None if one of them is missing or not finite."""
    values = [(result or {}).get("metrics", {}).get(name) for name in metrics]
    numbers = [float(value) for value in values if value is not None and math.isfinite(value)]
    return numbers if len(numbers) == len(metrics) else None
