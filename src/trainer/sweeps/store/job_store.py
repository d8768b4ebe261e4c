"""Ledger of a sweep, the SQLite file that contains all of its jobs.

A transaction is written completely or not at all, also after a `kill -9`, and several processes may write. WAL mode is
not used, as it does not work on file systems that several machines share.
"""

import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer.artifacts.config_signature import sign_command
from trainer.artifacts.ledger_file import (
    LEDGER_FILENAME,
    connect,
    create_tables,
    require_ledger,
    translate_sqlite_errors,
)
from trainer.artifacts.run_record import RunRecord
from trainer.core.errors import UserError
from trainer.sweeps.store.job import JOB_COLUMNS, RUNNABLE_STATES, Job, JobState
from trainer.sweeps.store.ledger_rows import SweepCommand, parse_command, parse_job
from trainer.sweeps.store.process_liveness import read_process_start_time


class Ledger:
    """The ledger of the sweep in a directory.

    Args:
        sweep: Directory of the sweep.

    Raises:
        UserError: The directory contains no ledger, or a file of another program.
    """

    def __init__(self, sweep: Path) -> None:
        self.sweep = sweep
        self.file = sweep / LEDGER_FILENAME
        if not self.file.is_file():
            raise UserError(f"'{sweep}' is not a sweep directory: it contains no {LEDGER_FILENAME}")
        require_ledger(self.file)

    @classmethod
    def open_or_create(cls, sweep: Path) -> "Ledger":
        """Return the ledger of a sweep; create it if it does not exist. The directory must exist."""
        create_tables(sweep / LEDGER_FILENAME)
        return cls(sweep)

    def jobs(self, numbers: Sequence[int] | None = None) -> list[Job]:
        """Return jobs in the order of their numbers.

        Args:
            numbers: Numbers of the jobs. Defaults to all.
        """
        condition = "" if numbers is None else f"WHERE number IN ({', '.join('?' * len(numbers))})"
        query = f"SELECT {', '.join(JOB_COLUMNS)} FROM job {condition} ORDER BY number"
        with self._connection() as database:
            rows = database.execute(query, [*(numbers or ())]).fetchall()
            return [parse_job(row) for row in rows]

    def job(self, number: int) -> Job:
        """Return one job."""
        return self.jobs([number])[0]

    def commands(self) -> list[SweepCommand]:
        """Return the commands of this sweep in their order."""
        with self._connection() as database:
            rows = database.execute("SELECT overrides, directory, signature FROM command ORDER BY number").fetchall()
            return [parse_command(*row) for row in rows]

    def add_jobs(self, command: Sequence[str], jobs: Mapping[str, Sequence[str]]) -> int:
        """Write a command and its new jobs.

        Args:
            command: Overrides of the command.
            jobs: Overrides of each job by its identity.

        Returns:
            int: Number of new jobs.
        """
        with self._transaction() as database:
            identities = {identity for (identity,) in database.execute("SELECT identity FROM job")}
            rows = [(identity, json.dumps([*job])) for identity, job in jobs.items() if identity not in identities]
            values = (json.dumps([*command]), str(Path.cwd()), time.time(), sign_command(command, Path.cwd()))
            database.execute("INSERT INTO command (overrides, directory, time, signature) VALUES (?, ?, ?, ?)", values)
            database.executemany(
                "INSERT INTO job (number, identity, overrides)"
                " VALUES ((SELECT IFNULL(MAX(number) + 1, 0) FROM job), ?, ?)",
                rows,
            )
        return len(rows)

    def update_identity(self, number: int, identity: str) -> None:
        """Write the current identity of a job."""
        self._update("UPDATE OR IGNORE job SET identity = ? WHERE number = ?", identity, number)

    def claim(self, job: Job) -> bool:
        """Claim the next attempt of a job for this process. It starts when a process is assigned to it.

        Returns:
            bool: False if another process has claimed the job since it was read, or it is not runnable.
        """
        if job.state not in RUNNABLE_STATES:
            return False
        return self._update(
            "UPDATE job SET state = 'running', attempts = attempts + 1, host = ?, pid = ?, process_start_time = ?,"
            " started = NULL, ended = NULL, error = NULL WHERE number = ? AND attempts = ? AND state = ?",
            *(platform.node(), os.getpid(), read_process_start_time(os.getpid())),
            *(job.number, job.attempts, job.state),
        )

    def release(self, job: Job) -> None:
        """Undo the claim of a job that no process was started for."""
        self._update(
            "UPDATE job SET state = ?, attempts = ?, error = ?, started = ?, ended = ?"
            " WHERE number = ? AND attempts = ?",
            *(job.state, job.attempts, job.error, job.started, job.ended, job.number, job.attempts + 1),
        )

    def assign_process(self, number: int, pid: int, attempt: int | None = None) -> bool:
        """Assign a claimed job to a process of this machine; return False if another attempt runs, or none.

        Args:
            number: Job number.
            pid: Process id.
            attempt: Attempt number, which may be marked as interrupted if a cluster starts it late; None if no other
                process can have started another attempt.
        """
        return self._update(
            "UPDATE job SET state = 'running', host = ?, pid = ?, process_start_time = ?, started = ?, ended = NULL,"
            " error = NULL WHERE number = ? AND (state = 'running' OR state = 'interrupted' AND attempts = ?)"
            " AND attempts = IFNULL(?, attempts)",
            *(platform.node(), pid, read_process_start_time(pid), time.time()),
            *(number, attempt, attempt),
        )

    def hand_back(self, number: int, attempt: int, owner: tuple[str, int, str | None]) -> None:
        """Return a job that waits for its restart to the process that has submitted it: host, id and start time."""
        self._update(
            "UPDATE job SET host = ?, pid = ?, process_start_time = ?, started = NULL,"
            " seconds = seconds + IFNULL(? - started, 0) WHERE number = ? AND state = 'running' AND attempts = ?",
            *(*owner, time.time(), number, attempt),
        )

    def finish(
        self,
        number: int,
        state: JobState,
        error: str | None = None,
        *,
        seconds: float | None = None,
        attempt: int | None = None,
        pid: int | None = None,
    ) -> None:
        """Write how a running job ended, with the result in its directory.

        Args:
            number: Job number.
            state: Final state.
            error: Error message of a failed job.
            seconds: Duration of the attempt. Defaults to the time since its start.
            attempt: Attempt number, if another process may have started the next attempt.
            pid: Id of the process that ran the job, if another one may have been assigned since.
        """
        content = self.result(number) if state in ("done", "pruned") else None
        result = json.dumps(content) if content else None
        now = time.time()
        self._update(
            "UPDATE job SET state = ?, result = ?, error = ?, ended = ?,"
            " seconds = seconds + COALESCE(?, ? - started, 0) WHERE number = ? AND state = 'running'"
            " AND attempts = IFNULL(?, attempts) AND pid IS IFNULL(?, pid)",
            *(state, result, error, now, seconds, now, number, attempt, pid),
        )

    def result(self, number: int) -> dict[str, Any] | None:
        """Return the content of a job's `result.json`, or None if the file does not exist or is invalid."""
        return RunRecord(self.sweep / str(number)).result or None

    def log_path(self, number: int) -> Path:
        """Return the file for the output of a job in a separate process."""
        return self.sweep / "output" / f"{number}.log"

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with translate_sqlite_errors(self.file), connect(self.file) as database:
            yield database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as database:
            database.execute("BEGIN IMMEDIATE")  # other writers wait
            yield database
            database.execute("COMMIT")

    def _update(self, statement: str, *values: Any) -> bool:
        with self._transaction() as database:
            return database.execute(statement, values).rowcount == 1
