"""File lock of a run directory, which tells whether a process executes the run."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.core.errors import UserError

LOCK_FILENAME = ".lock"
LOCK_SECONDS = 1.0  # other processes hold the lock for an instant to check whether it is free
POLL_SECONDS = 0.02
UNSUPPORTED_ERRNOS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of file systems without locks

log = logging.getLogger(__name__)


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Lock a run directory for the block; the system releases the lock if the process is killed.

    Raises:
        UserError: Another process holds the lock.
    """
    lock = FileLock(run / LOCK_FILENAME)
    try:
        lock.acquire(timeout=LOCK_SECONDS, poll_interval=POLL_SECONDS)
    except Timeout:
        raise UserError(f"run directory '{run}' is in use by another process; wait until it ends, or stop it") from None
    except OSError as error:
        if error.errno not in UNSUPPORTED_ERRNOS:
            raise UserError(f"cannot write to '{run}': {error.strerror}") from error
        log.warning(f"warning: the file system of '{run}' has no locks; do not use the directory in two processes")
    try:
        yield
    finally:
        lock.release()


def is_locked(run: Path) -> bool:
    """Return whether a process holds the lock of a run directory; False if the file system has no locks."""
    if not (run / LOCK_FILENAME).exists():
        return False
    lock = FileLock(run / LOCK_FILENAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # no locks; or the directory is read-only, so no process is writing to it
        return False
    lock.release()
    return False
