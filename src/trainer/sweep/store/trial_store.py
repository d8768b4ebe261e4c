"""Trials: the ledger of a search, which knows of each job what was tried in it and what it has reported so far.

What Optuna knows of a search is made from this anew whenever it is asked. So there is one file to lose, and none of
two to disagree with the other after a `kill -9`.
"""

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError
from trainer.core.metric_direction import Direction
from trainer.sweep.search.dimensions import Value
from trainer.sweep.store.job_store import Job, Ledger, State

TABLES = (
    "CREATE TABLE IF NOT EXISTS search (number INTEGER PRIMARY KEY CHECK (number = 0), settings TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS trial (number INTEGER PRIMARY KEY, tried TEXT NOT NULL, notes TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS report (number INTEGER, epoch INTEGER, value REAL, PRIMARY KEY (number, epoch))",
)
# of every sweep, not of searches alone
OPTIMIZED = "CREATE TABLE IF NOT EXISTS optimized (metric TEXT PRIMARY KEY, direction TEXT NOT NULL)"


@dataclass(frozen=True)
class Trial:
    """A job of a search.

    Args:
        job: As the ledger has it.
        values: What it tries, by key.
        notes: What the sampler and the pruner keep with it.
        reports: Values of the metric by epoch, from 1.
    """

    job: Job
    values: dict[str, Value]
    notes: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)


class Trials(Ledger):
    """The ledger of a search."""

    @classmethod
    def opened(cls, sweep: Path) -> "Trials":
        """The ledger of a search, which is made if there is none yet; the directory must be there."""
        ledger = cls(super().opened(sweep).sweep)
        with ledger._write() as database:
            for statement in TABLES:
                database.execute(statement)
        return ledger

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        if not self.file.is_file():  # SQLite would make a new one
            raise UserError(f"the ledger '{self.file}' is gone; put it back, and nothing is lost")
        with super()._read() as database:
            yield database

    def settings(self) -> dict[str, Any] | None:
        """What is searched, and how; None in a sweep that is no search."""
        with self._read() as database, suppress(sqlite3.OperationalError):  # no such table
            row = database.execute("SELECT settings FROM search").fetchone()
            return dict(json.loads(row[0])) if row else None
        return None

    def settle(self, settings: Mapping[str, Any]) -> None:
        """Write down what is searched, and how."""
        with self._write() as database:
            database.execute("INSERT OR REPLACE INTO search VALUES (0, ?)", (json.dumps(settings),))

    def optimize(self, directions: Mapping[str, Direction]) -> None:
        """Write the optimized metrics of a command, each with its direction."""
        with self._write() as database:
            database.execute(OPTIMIZED)
            database.execute("DELETE FROM optimized")
            database.executemany("INSERT INTO optimized VALUES (?, ?)", [*directions.items()])

    def trials(self) -> list[Trial]:
        """All of them, by number."""
        with self._read() as database:
            told = database.execute("SELECT number, tried, notes FROM trial ORDER BY number").fetchall()
            reported = database.execute("SELECT number, epoch, value FROM report ORDER BY number, epoch").fetchall()
        jobs = {job.number: job for job in self.jobs()}
        found = {number: Trial(jobs[number], json.loads(tried), json.loads(notes)) for number, tried, notes in told}
        for number, epoch, value in reported:
            found[number].reports[epoch] = math.nan if value is None else value  # SQLite knows no NaN
        return [*found.values()]

    def end(self, number: int, state: State, error: str | None = None, **how: Any) -> None:
        """Write down how a running job ended; one without the number that is searched for has failed."""
        settings = self.settings()
        if settings and state == "done" and values_of(self.result(number), settings["goal"]["metrics"]) is None:
            state, error = "failed", f"{', '.join(settings['goal']['metrics'])}: missing in its result, or no number"
        super().end(number, state, error, **how)

    def add(self, trial: Trial) -> bool:
        """Write down a new trial.

        Returns:
            bool: False where another process has added one since, and so this one was not chosen with all that is
                known; or where a job with the same config is there.
        """
        job = trial.job
        with self._write() as database:
            (count,) = database.execute("SELECT COUNT(*) FROM job").fetchone()
            (same,) = database.execute("SELECT COUNT(*) FROM job WHERE identity = ?", (job.identity,)).fetchone()
            if count != job.number or same:
                return False
            named = (job.number, job.identity, json.dumps(job.words))
            database.execute("INSERT INTO job (number, identity, words) VALUES (?, ?, ?)", named)
            kept = (job.number, json.dumps(trial.values), json.dumps(trial.notes))
            database.execute("INSERT INTO trial VALUES (?, ?, ?)", kept)
        return True

    def report(self, number: int, epoch: int, value: float) -> None:
        """Write down how far a trial is."""
        with self._write() as database:
            database.execute("INSERT OR REPLACE INTO report VALUES (?, ?, ?)", (number, epoch, value))

    def note(self, number: int, notes: Mapping[str, Any]) -> None:
        """Keep with a trial what the pruner wants to know the next time."""
        with self._write() as database:
            database.execute("UPDATE trial SET notes = ? WHERE number = ?", (json.dumps(notes), number))


def values_of(result: Mapping[str, Any] | None, metrics: Sequence[str]) -> list[float] | None:
    """The metrics of a result; None where one of them is missing or no number."""
    found = [(result or {}).get("metrics", {}).get(name) for name in metrics]
    values = [float(value) for value in found if value is not None and math.isfinite(value)]
    return values if len(values) == len(metrics) else None
