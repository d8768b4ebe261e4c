"""File lock of a run directory, which tells whether a process executes the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.core.errors import UserError

LOCK_FILENAME = ".lock"


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Lock a run directory for the block; the system releases the lock if the process is killed.

    Raises:
        UserError: Another process holds the lock.
    """
    lock = FileLock(run / LOCK_FILENAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"run directory '{run}' is in use by another process; wait until it ends, or stop it") from None
    except OSError as error:
        raise UserError(f"cannot write to '{run}': {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def is_running(run: Path) -> bool:
    """Return whether a process holds the lock of a run directory."""
    if not (run / LOCK_FILENAME).exists():
        return False
    lock = FileLock(run / LOCK_FILENAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # the directory is read-only, so no process is writing to it
        return False
    lock.release()
    return False
