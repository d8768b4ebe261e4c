"""SQLite file of a sweep's ledger: tables, connections and error messages."""

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from trainer.core.errors import UserError
from trainer.core.metric_direction import Direction

LEDGER_FILENAME = "sweep.sqlite"  # its presence marks the directory of a sweep
APPLICATION_ID = 0x54524E52  # "TRNR", in the header of the file
SCHEMA_VERSION = 3
LOCK_TIMEOUT_SECONDS = 10.0
RETRY_SECONDS = 1.0
# full disks are also reported as I/O errors, or prevent the creation of a journal file
BUSY_CODES = (
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN),
)
CREATE_TABLE_STATEMENTS = (
    "CREATE TABLE command (number INTEGER PRIMARY KEY, overrides TEXT NOT NULL, directory TEXT NOT NULL,"
    " time REAL NOT NULL, signature TEXT)",
    "CREATE TABLE job (number INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, overrides TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'planned', attempts INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,"
    " result TEXT, error TEXT, host TEXT, pid INTEGER, process_start_time TEXT, started REAL, ended REAL)",
)


Result = TypeVar("Result")

log = logging.getLogger(__name__)


class LedgerBusyError(UserError):
    """A ledger that is locked by another process, or on a full disk; nothing was written."""


@contextmanager
def connect(file: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """Open a database for the block; uncommitted changes are rolled back.

    Args:
        file: File of the database.
        mode: `rw` if the file must exist, `rwc` to create it. Defaults to `rw`.
    """
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)) as database:
        yield database


@contextmanager
def translate_sqlite_errors(file: Path) -> Iterator[None]:
    """Convert errors of SQLite to a `UserError`.

    Raises:
        LedgerBusyError: A later attempt may succeed.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the details of an extended code
        if code == sqlite3.SQLITE_NOTADB or "no such table" in str(error):
            raise UserError(f"'{file}' is not a ledger of this trainer; name another directory") from error
        if file.parent.is_dir() and not file.exists():
            raise UserError(f"the ledger '{file}' was removed; restore the file to continue") from error
        if code == sqlite3.SQLITE_CORRUPT:
            raise _corruption_error(file, error) from error
        kind = LedgerBusyError if code in BUSY_CODES else UserError
        raise kind(f"cannot use the ledger '{file}': {error}; its content is unchanged") from error
    except OSError as error:
        raise UserError(f"cannot write '{file}': {error.strerror}") from error
    except ValueError as error:  # an invalid value in a row
        raise _corruption_error(file, error) from error


def _corruption_error(file: Path, reason: Exception) -> UserError:
    return UserError(
        f"the ledger '{file}' is corrupted: {reason}; expected a backup in its place"
        f"\n  the results of its jobs are in '{file.parent}/NUMBER/result.json'; trainer runs lists them"
    )


def retry_while_busy(operation: Callable[[], Result], seconds: float = math.inf) -> Result:
    """Return the result of an operation on a ledger; repeat it while the ledger is busy.

    Args:
        operation: The operation.
        seconds: Maximum time. Defaults to no limit.

    Raises:
        LedgerBusyError: The time is over.
    """
    is_logged = False
    deadline = time.monotonic() + seconds
    while True:
        try:
            return operation()
        except LedgerBusyError as error:
            if time.monotonic() > deadline:
                raise
            if not is_logged:
                log.warning(f"warning: {error}; retrying")
            is_logged = True
            time.sleep(RETRY_SECONDS)


def create_tables(file: Path) -> None:
    """Create the tables in a file without tables; its directory must exist."""
    with translate_sqlite_errors(file), connect(file, "rwc") as database:
        database.execute("BEGIN IMMEDIATE")
        if not database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            for statement in (
                f"PRAGMA application_id={APPLICATION_ID}",
                f"PRAGMA user_version={SCHEMA_VERSION}",
                *CREATE_TABLE_STATEMENTS,
            ):
                database.execute(statement)
        database.execute("COMMIT")


def require_ledger(file: Path) -> None:
    """Raise an error if a file is not a ledger of this version.

    Raises:
        UserError: The file belongs to another program or another version.
    """
    with translate_sqlite_errors(file), connect(file) as database:
        application, version = (
            database.execute(f"PRAGMA {key}").fetchone()[0] for key in ("application_id", "user_version")
        )
    if application != APPLICATION_ID:
        raise UserError(f"'{file}' is not a ledger of this trainer; name another directory")
    if version != SCHEMA_VERSION:
        raise UserError(f"'{file}' is a ledger of version {version}, this trainer reads {SCHEMA_VERSION}")


def is_sweep_job(run: Path) -> bool:
    """Return whether a run directory belongs to a sweep, whose directory contains it."""
    return (run.parent / LEDGER_FILENAME).is_file()


def read_optimized_metrics(sweep: Path) -> dict[str, Direction]:
    """Return the optimized metrics of a sweep in order, each with its direction; empty if it has no ledger."""
    file = sweep / LEDGER_FILENAME
    if not file.is_file():
        return {}
    require_ledger(file)
    with translate_sqlite_errors(file), connect(file) as database, suppress(sqlite3.OperationalError):  # no such table
        return dict(database.execute("SELECT metric, direction FROM optimized ORDER BY rowid").fetchall())
    return {}
