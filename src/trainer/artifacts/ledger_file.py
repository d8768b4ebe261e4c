"""SQLite file of a sweep's ledger: tables, connections and error messages."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainer.core.errors import UserError
from trainer.core.metric_direction import Direction

LEDGER_FILENAME = "sweep.sqlite"  # its presence marks the directory of a sweep
APPLICATION_ID = 0x54524E52  # "TRNR", in the header of the file
SCHEMA_VERSION = 2
LOCK_TIMEOUT_SECONDS = 60.0
CREATE_TABLE_STATEMENTS = (
    "CREATE TABLE command (number INTEGER PRIMARY KEY, words TEXT NOT NULL, place TEXT NOT NULL, at REAL NOT NULL,"
    " signature TEXT)",
    "CREATE TABLE job (number INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, words TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'planned', tries INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,"
    " result TEXT, error TEXT, host TEXT, pid INTEGER, born TEXT, began REAL, ended REAL)",
)


@contextmanager
def connect(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for the block; uncommitted changes are rolled back."""
    database = sqlite3.connect(file, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def translate_sqlite_errors(file: Path) -> Iterator[None]:
    """Convert errors of SQLite to a `UserError`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error) or "no such table" in str(error):
            raise UserError(f"'{file}' is not a ledger of this trainer; name another directory") from error
        raise UserError(f"cannot use the ledger '{file}': {error}; its content is unchanged") from error
    except OSError as error:
        raise UserError(f"cannot write '{file}': {error.strerror}") from error
    except ValueError as error:  # an invalid value in a row
        raise UserError(f"the ledger '{file}' is damaged: {error}") from None


def create_tables(file: Path) -> None:
    """Create the tables in a file without tables; its directory must exist."""
    with translate_sqlite_errors(file), connect(file) as database:
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


def read_optimized_metrics(sweep: Path) -> dict[str, Direction]:
    """Return the optimized metrics of a sweep in order, each with its direction; empty if it has no ledger."""
    file = sweep / LEDGER_FILENAME
    if not file.is_file():
        return {}
    require_ledger(file)
    with translate_sqlite_errors(file), connect(file) as database, suppress(sqlite3.OperationalError):  # no such table
        return dict(database.execute("SELECT metric, direction FROM optimized ORDER BY rowid").fetchall())
    return {}
