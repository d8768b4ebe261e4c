"""SQLite file of a sweep's ledger: tables, connections, and errors in the user's terms."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainer.core.errors import UserError
from trainer.core.metric_direction import Direction

LEDGER = "sweep.sqlite"  # in the directory of a sweep, which is recognized by it
MARK, VERSION = 0x54524E52, 1  # in the head of the file: "TRNR", and of which form the tables are
PATIENCE = 60.0  # seconds that a writer waits for its turn
TABLES = (
    "CREATE TABLE command (number INTEGER PRIMARY KEY, words TEXT NOT NULL, place TEXT NOT NULL, at REAL NOT NULL)",
    "CREATE TABLE job (number INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, words TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'planned', tries INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,"
    " result TEXT, error TEXT, host TEXT, pid INTEGER, born TEXT, began REAL, ended REAL)",
)


@contextmanager
def connected(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database, and close it again."""
    database = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
    try:
        yield database
    finally:
        database.close()  # what was not committed is taken back


@contextmanager
def told(file: Path) -> Iterator[None]:
    """Turn the database's complaints into what a user can do about them."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error) or "no such table" in str(error):
            raise UserError(f"'{file}' is not a ledger of this trainer; name another directory") from error
        raise UserError(f"the ledger '{file}' cannot be used: {error}; what it holds is as it was") from error
    except OSError as error:
        raise UserError(f"cannot write '{file}': {error.strerror}") from error


def create(file: Path) -> None:
    """Make the tables in a file that has none yet; its directory must be there."""
    with told(file), connected(file) as database:
        database.execute("BEGIN IMMEDIATE")
        if not database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            for statement in (f"PRAGMA application_id={MARK}", f"PRAGMA user_version={VERSION}", *TABLES):
                database.execute(statement)
        database.execute("COMMIT")


def refuse_foreign(file: Path) -> None:
    """Refuse a file that is a ledger of something else.

    Raises:
        UserError: Says of what.
    """
    with told(file), connected(file) as database:
        mark, version = (database.execute(f"PRAGMA {key}").fetchone()[0] for key in ("application_id", "user_version"))
    if mark != MARK:
        raise UserError(f"'{file}' is not a ledger of this trainer; name another directory")
    if version != VERSION:
        raise UserError(f"'{file}' is a ledger of version {version}, this trainer reads {VERSION}")


def optimized_metrics(sweep: Path) -> dict[str, Direction]:
    """Return the optimized metrics of a sweep in their order, each with its direction; none if it has no ledger."""
    file = sweep / LEDGER
    if not file.is_file():
        return {}
    refuse_foreign(file)
    with told(file), connected(file) as database, suppress(sqlite3.OperationalError):  # no such table
        return dict(database.execute("SELECT metric, direction FROM optimized ORDER BY rowid").fetchall())
    return {}
