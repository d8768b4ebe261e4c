"""File lock of a run directory, and the state of a run."""

import json
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


def run_state(run: Path) -> str:
    """Return the state of a run from `result.json`: `finished`, `failed`, `test_failed`, `pruned` or `interrupted`.

    Without this file the state is `running` or `killed`.
    """
    file = run / "result.json"
    if file.is_file():
        return str(json.loads(file.read_text())["state"])
    if not (run / LOCK_FILENAME).exists():
        return "killed"
    lock = FileLock(run / LOCK_FILENAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return "running"
    except OSError:  # the directory is read-only, so no process is writing to it
        return "killed"
    lock.release()
    return "killed"
