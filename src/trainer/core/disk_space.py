"""Directories on file systems that are full."""

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

DISK_WRITE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
MIN_FREE_BYTES = 2**20
SHARED_MEMORY = Path("/dev/shm")


def is_disk_full(error: BaseException) -> bool:
    """Return whether a file could not be written for lack of space or permission; torch raises a RuntimeError then."""
    if isinstance(error, OSError):
        return error.errno in DISK_WRITE_ERRNOS
    return isinstance(error, RuntimeError) and os.strerror(errno.ENOSPC) in str(error)


def explain_full_disk(error: BaseException, directories: Iterable[Path] = ()) -> str:
    """Return the message for an error of `is_disk_full`, which names the file if it is known, and full directories.

    Args:
        error: The error.
        directories: Directories that may be full, in addition to those for temporary files and the current one.
    """
    filename = getattr(error, "filename", None)
    reason = getattr(error, "strerror", None) or os.strerror(errno.ENOSPC)
    candidates = [*directories, Path(), Path(tempfile.gettempdir()), SHARED_MEMORY]
    full = list(dict.fromkeys(str(path.absolute()) for path in candidates if _is_full(path)))
    return (
        "cannot write"
        + (f" '{filename}'" if filename else "")
        + f": {reason}"
        + (f"; full: {', '.join(full)}" if full else "")
    )


def _is_full(directory: Path) -> bool:
    """Return whether a file system has nearly no space or no inodes; some report 0 inodes of 0."""
    try:
        status = os.statvfs(directory)
    except (OSError, AttributeError):  # missing; Windows
        return False
    is_out_of_inodes = status.f_files > 0 and status.f_favail == 0
    return status.f_bavail * status.f_frsize < MIN_FREE_BYTES or is_out_of_inodes
