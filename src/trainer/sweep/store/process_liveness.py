"""Alive: whether the process that has a job is still there."""

import os
import platform
from pathlib import Path


def born(pid: int) -> str | None:
    """When a process was started, in the system's own count; None where there is no such process, or no telling.

    Args:
        pid: Its number, which the system gives again some day: together with this one it is unique.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]  # dead, and nobody has asked how it ended


def lives(host: str | None, pid: int | None, since: str | None, *, elsewhere: bool) -> bool:
    """Whether a process is there.

    Args:
        host: Its machine.
        pid: Its number.
        since: When it was `born`.
        elsewhere: What to say of processes on other machines, of which nobody here can tell.
    """
    if host != platform.node() or pid is None:
        return elsewhere
    if Path("/proc/self/stat").exists():
        return since is not None and born(pid) == since
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
