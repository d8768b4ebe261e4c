"""Limit of the open files of this process."""

import sys

MAX_OPEN_FILES = 10_240  # if the limit may be raised without end, which macOS does not accept


def raise_open_file_limit() -> float:
    """Raise the limit of open files of this process as far as possible, and return it."""
    if sys.platform == "win32":
        return float("inf")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return float("inf")
    limit = max(soft, MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit
