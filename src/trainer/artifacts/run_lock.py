"""Hold: one process at a time works in a run directory, and others can tell how the run in it stands."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.core.errors import UserError

LOCK = ".lock"


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Hold a run directory; the system lets go of it when the process ends, however that ends.

    Raises:
        UserError: Another process holds it.
    """
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another process is at work in '{run}'; wait for it, or stop it") from None
    except OSError as error:
        raise UserError(f"cannot write to '{run}': {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def state_of(run: Path) -> str:
    """How a run stands: `finished`, `failed`, `pruned` or `interrupted`, as `result.json` says.

    Without one it is `running` or `killed`: a process that is killed outright has no time to write it.
    """
    file = run / "result.json"
    if file.is_file():
        return str(json.loads(file.read_text())["state"])
    if not (run / LOCK).exists():
        return "killed"
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return "running"
    except OSError:  # nobody may write here, so nobody does
        return "killed"
    lock.release()
    return "killed"
