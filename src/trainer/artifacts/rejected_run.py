"""Removal of the directory of a run that its validation has rejected."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainer.artifacts.ledger_file import LEDGER_FILENAME
from trainer.artifacts.run_lock import LOCK_FILENAME
from trainer.core.errors import UserError

# written before a run is validated, in the order of removal
EARLY_FILES = (
    *(".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", ".hydra"),
    *("trainer.log", "result.json", LOCK_FILENAME),
)


@contextmanager
def removed_if_rejected(directory: Path) -> Iterator[Callable[[], None]]:
    """Remove a run directory if the block raises a `UserError` before it calls the yielded function.

    Directories of jobs, whose sweep reads the error, and directories with other files remain.

    Args:
        directory: The run directory.
    """
    is_accepted = False

    def accept() -> None:
        nonlocal is_accepted
        is_accepted = True

    try:
        yield accept
    except UserError:
        is_job = any((directory.parent / name).is_file() for name in (LEDGER_FILENAME, "multirun.yaml"))
        if not is_accepted and not is_job:
            with suppress(OSError):
                _remove(directory)
        raise


def _remove(directory: Path) -> None:
    files = [directory / name for name in EARLY_FILES]
    if {*directory.rglob("*")} <= {*files}:
        for file in files:
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)
        directory.rmdir()
